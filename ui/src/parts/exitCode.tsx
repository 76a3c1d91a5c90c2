// The exit code of a container; what a code usually means stands in its help.
import type { ReactElement } from "react";
import { texts } from "../texts/en";

const SIGNAL_BASE = 128;

/** "" where a code says nothing by itself. */
export function meaningOf(code: number): string {
  const signal = code > SIGNAL_BASE ? texts.signals[code - SIGNAL_BASE] : undefined;
  return texts.exitCodes[code] ?? signal ?? "";
}

export function ExitCode({ code }: { code: number | null | undefined }): ReactElement {
  if (code === null || code === undefined) return <span className="muted">{texts.common.none}</span>;
  const meaning = meaningOf(code);
  return meaning === "" ? <>{code}</> : <abbr title={meaning}>{code}</abbr>;
}
