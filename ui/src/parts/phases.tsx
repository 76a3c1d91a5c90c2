// The phases of a round as one bar.
import type { ReactElement } from "react";
import { duration } from "../lib/format";
import { colourOf } from "../lib/series";
import { record } from "./pieces";

export interface Phase {
  name: string;
  us: number;
}

/** `total` is the sum of the others, not one of them. */
export function phasesOf(timings: unknown): Phase[] {
  return Object.entries(record(timings)).flatMap(([name, us]) => (typeof us === "number" && name !== "total" ? [{ name, us }] : []));
}

export function PhaseBar({ timings, scaleUs }: { timings: unknown; scaleUs?: number }): ReactElement {
  const phases = phasesOf(timings);
  const total = phases.reduce((sum, phase) => sum + phase.us, 0);
  const label = phases.map((phase) => `${phase.name} ${duration(phase.us / 1_000)}`).join(", ");
  return (
    <div className="phases" role="img" aria-label={label} title={label}>
      <div style={{ display: "flex", width: `${scaleUs ? Math.max(2, (total / scaleUs) * 100) : 100}%` }}>
        {phases.map((phase, index) => <span key={phase.name} style={{ flexGrow: phase.us, background: colourOf(index) }} />)}
      </div>
    </div>
  );
}

export function PhaseLegend({ timings }: { timings: unknown }): ReactElement {
  return (
    <div className="legend">
      {phasesOf(timings).map((phase, index) => <span key={phase.name} className="nowrap"><i style={{ background: colourOf(index) }} />{phase.name} {duration(phase.us / 1_000)}</span>)}
    </div>
  );
}
