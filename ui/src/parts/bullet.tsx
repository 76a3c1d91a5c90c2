// A queue's shares as one bullet bar: what it holds, what it asks for, what is fair.
import type { ReactElement } from "react";
import { percent } from "../lib/format";

export interface Shares {
  fairShare: number;
  adjustedShare: number;
  demandShare: number;
  actualShare: number;
}

/** `scale`: the share at the right end. */
export function Bullet({ shares, scale }: { shares: Shares; scale: number }): ReactElement {
  const at = (share: number): string => `${Math.min(100, (share / Math.max(scale, 1e-9)) * 100)}%`;
  const label = `holds ${percent(shares.actualShare)}, asks for ${percent(shares.demandShare)}, fair share ${percent(shares.fairShare)}, with what others leave ${percent(shares.adjustedShare)}`;
  return (
    <div className="bullet" role="img" aria-label={label} title={label}>
      <span className="wants" style={{ width: at(shares.demandShare) }} />
      <span className="held" style={{ width: at(shares.actualShare) }} />
      <span className="fair" style={{ left: at(shares.fairShare) }} />
      <span className="adjusted" style={{ left: at(shares.adjustedShare) }} />
    </div>
  );
}

/** A scale for several bullets: a little more than the largest that is held or fair, not what is only wished. */
export function bulletScale(all: readonly Shares[]): number {
  return Math.min(1, Math.max(0.05, ...all.flatMap((each) => [each.fairShare, each.adjustedShare, each.actualShare])) * 1.15);
}
