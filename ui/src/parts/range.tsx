// How far back charts look.
import { SegmentedControl } from "@mantine/core";
import type { ReactElement } from "react";
import { texts } from "../texts/en";

export const RANGES = ["15", "60", "360"] as const;
export type Range = (typeof RANGES)[number];

export function RangePicker({ value, onChange }: { value: Range; onChange: (range: Range) => void }): ReactElement {
  return (
    <SegmentedControl
      size="xs"
      aria-label="Range"
      value={value}
      onChange={(next) => onChange(next as Range)}
      data={RANGES.map((range) => ({ value: range, label: texts.overview.range(Number(range)) }))}
    />
  );
}
