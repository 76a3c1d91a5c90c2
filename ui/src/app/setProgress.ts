// A job set's counts, kept exact by its events: the counts come with a cursor, and every event behind it changes them.
import { useCallback, useEffect, useRef, useState } from "react";
import type { JobState } from "../gql/graphql";
import { ENDED, STATES } from "../lib/jobQuery";
import { type StreamBatch, type StreamEvent, useEventStream, type Stream } from "./eventStream";

const FEED_MAX = 60;
const RATE_MS = 60_000;
const DRAW_MS = 250;

export interface Counts {
  counts: Map<JobState, number>;
  feed: StreamEvent[];
  /** ends in the last minute, as ms since 1970 */
  ends: number[];
}

const AFTER: Partial<Record<string, JobState>> = {
  SUBMITTED: "QUEUED", QUEUED: "QUEUED", LEASE_RETURNED: "QUEUED", LEASE_EXPIRED: "QUEUED", LEASED: "LEASED", PENDING: "PENDING", RUNNING: "RUNNING",
  SUCCEEDED: "SUCCEEDED", FAILED: "FAILED", CANCELLED: "CANCELLED", PREEMPTED: "PREEMPTED", REJECTED: "REJECTED",
};

/** The state of a job after an event of this kind, if the kind says so. */
export function stateAfter(kind: string): JobState | undefined {
  return AFTER[kind];
}

/** Ends per second over the last minute, or since the first end if that is less. Pure. */
export function endRate(ends: readonly number[], now: number): number {
  const recent = ends.filter((at) => at > now - RATE_MS);
  const first = recent[0];
  return first === undefined ? 0 : recent.length / Math.max(5, Math.min(RATE_MS, now - first) / 1_000);
}

export interface Progress {
  feed: readonly StreamEvent[];
  rate: number;
  /** events taken since the counts were read */
  changes: number;
  stream: Stream;
}

/** `cursor`: of the first snapshot. What changed is told so that the caller reads the counts again; the feed and the rate are kept here. */
export function useSetProgress(queue: string, jobSet: string, cursor: string | undefined, pause: boolean): Progress {
  const [shown, setShown] = useState<{ feed: readonly StreamEvent[]; rate: number; changes: number }>({ feed: [], rate: 0, changes: 0 });
  const gathered = useRef<{ feed: StreamEvent[]; ends: number[]; changes: number }>({ feed: [], ends: [], changes: 0 });
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const draw = useCallback(() => {
    timer.current = undefined;
    const now = Date.now();
    gathered.current.ends = gathered.current.ends.filter((at) => at > now - RATE_MS);
    setShown({ feed: gathered.current.feed, rate: endRate(gathered.current.ends, now), changes: gathered.current.changes });
  }, []);
  const take = useCallback((batch: StreamBatch) => {
    if (batch.events.length > 0) {
      const held = gathered.current;
      held.feed = [...[...batch.events].reverse(), ...held.feed].slice(0, FEED_MAX);
      held.changes += batch.events.length;
      for (const event of batch.events) {
        const after = stateAfter(event.kind);
        if (event.terminal && after !== undefined && ENDED.includes(after)) held.ends.push(Date.parse(event.time));
      }
    }
    timer.current ??= setTimeout(draw, DRAW_MS);
  }, [draw]);
  useEffect(() => {
    gathered.current = { feed: [], ends: [], changes: 0 };
    return () => {
      if (timer.current !== undefined) clearTimeout(timer.current);
      timer.current = undefined;
    };
  }, [queue, jobSet]);
  const stream = useEventStream(queue, jobSet, cursor, pause, take);
  return { ...shown, stream };
}

export function emptyCounts(): Map<JobState, number> {
  return new Map(STATES.map((state) => [state, 0]));
}
