// A queue's shares as one bullet bar: what it holds, what it asks for, what is fair.
import type { ReactElement } from "react";
import { percent } from "../lib/format";
import { texts } from "../texts/en";

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

/** What the parts of a bullet mean. */
export function BulletLegend(): ReactElement {
  return (
    <div className="legend" style={{ marginTop: 8 }}>
      {(["held", "wants", "fair", "adjusted"] as const).map((part) => (
        <span key={part} className="nowrap"><span className="bullet" aria-hidden><span className={part} style={part === "held" || part === "wants" ? { width: 12 } : { left: 5 }} /></span>{texts.queues.sharesHelp[part]}</span>
      ))}
    </div>
  );
}

/** A scale for several bullets: a little more than the largest that is held or fair, not what is only wished. */
export function bulletScale(all: readonly Shares[]): number {
  return Math.min(1, Math.max(0.05, ...all.flatMap((each) => [each.fairShare, each.adjustedShare, each.actualShare])) * 1.15);
}
