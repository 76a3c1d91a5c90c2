// The state of a job: always an icon, a word and a colour together.
import {
  IconBan, IconCircleCheck, IconCircleX, IconClock, IconHandStop, IconHourglass, IconPlayerPlay, IconSend, IconTrendingDown,
} from "@tabler/icons-react";
import type { ReactElement } from "react";
import type { JobState } from "../gql/graphql";
import { whole } from "../lib/format";
import { STATES } from "../lib/jobQuery";
import { texts } from "../texts/en";

const ICONS: Record<JobState, typeof IconClock> = {
  QUEUED: IconClock,
  LEASED: IconSend,
  PENDING: IconHourglass,
  RUNNING: IconPlayerPlay,
  SUCCEEDED: IconCircleCheck,
  FAILED: IconCircleX,
  CANCELLED: IconHandStop,
  PREEMPTED: IconTrendingDown,
  REJECTED: IconBan,
};

export function isJobState(text: string): text is JobState {
  return (STATES as readonly string[]).includes(text);
}

export function StateIcon({ state, size = 14 }: { state: JobState; size?: number }): ReactElement {
  const Icon = ICONS[state];
  return <Icon size={size} stroke={2} color={`var(--${state})`} aria-hidden />;
}

export function State({ state }: { state: JobState }): ReactElement {
  return (
    <span className="state" style={{ color: `var(--${state})` }} title={texts.stateHelp[state]}>
      <StateIcon state={state} />
      {texts.states[state]}
    </span>
  );
}

/** A run's state has more words than a job's: lease returned, lease expired. */
export function RunState({ state }: { state: string }): ReactElement {
  if (isJobState(state)) return <State state={state} />;
  const words = state.toLowerCase().replace(/_/g, " ");
  return <span className="state muted">{words.charAt(0).toUpperCase() + words.slice(1)}</span>;
}

export interface Count {
  state: JobState;
  count: number;
}

/** The parts of a whole as one bar, with its figures for those who do not see it. */
export function StateBar({ counts }: { counts: readonly Count[] }): ReactElement {
  const shown = counts.filter((each) => each.count > 0);
  const label = shown.map((each) => `${texts.states[each.state]} ${whole(each.count)}`).join(", ");
  return (
    <div className="statebar" role="img" aria-label={label === "" ? texts.common.none : label} title={label}>
      {[...shown].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).map((each) => (
        <span key={each.state} style={{ flexGrow: each.count, background: `var(--${each.state})`, opacity: each.state === "QUEUED" ? 0.45 : 1 }} />
      ))}
    </div>
  );
}

const ORDER: readonly JobState[] = ["SUCCEEDED", "FAILED", "REJECTED", "PREEMPTED", "CANCELLED", "RUNNING", "PENDING", "LEASED", "QUEUED"];

export function countOf(counts: readonly Count[], states: readonly JobState[]): number {
  return counts.reduce((sum, each) => sum + (states.includes(each.state) ? each.count : 0), 0);
}
