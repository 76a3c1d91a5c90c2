// A job set as it goes on: its latest events, and how many of its jobs ended in the last minute.
import { useCallback, useEffect, useRef, useState } from "react";
import { graphql } from "../gql";
import { ENDED } from "../lib/jobQuery";
import { client } from "./client";
import { useHidden } from "./clock";
import { type StreamBatch, type StreamEvent, useEventStream, type Stream } from "./eventStream";

const LATELY = graphql(`
  query EndedLately($filter: JobFilter!) { jobGroups(filter: $filter, by: ["state"], first: 20) { nodes { count } } }
`);
const FEED_MAX = 60;
const DRAW_MS = 250;
const RATE_MS = 60_000;
const RATE_MIN_MS = 5_000;
const LATELY_EVERY_MS = 5_000;

/** Ends per second over the last minute, or since the set began if that is less. Pure. */
export function endRate(ends: number, beganMs: number, now: number): number {
  return ends / (Math.max(RATE_MIN_MS, Math.min(RATE_MS, now - beganMs)) / 1_000);
}

export interface Progress {
  feed: readonly StreamEvent[];
  /** events taken since the counts were read */
  changes: number;
  stream: Stream;
}

/** `cursor`: of the first snapshot. What changed is told so that the caller reads the counts again. */
export function useSetProgress(queue: string, jobSet: string, cursor: string | undefined, pause: boolean): Progress {
  const [shown, setShown] = useState<{ feed: readonly StreamEvent[]; changes: number }>({ feed: [], changes: 0 });
  const gathered = useRef<{ feed: StreamEvent[]; changes: number }>({ feed: [], changes: 0 });
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const draw = useCallback(() => {
    timer.current = undefined;
    setShown({ feed: gathered.current.feed, changes: gathered.current.changes });
  }, []);
  const take = useCallback((batch: StreamBatch) => {
    if (batch.events.length === 0) return;
    const held = gathered.current;
    held.feed = [...[...batch.events].reverse(), ...held.feed].slice(0, FEED_MAX);
    held.changes += batch.events.length;
    timer.current ??= setTimeout(draw, DRAW_MS);
  }, [draw]);
  useEffect(() => {
    gathered.current = { feed: [], changes: 0 };
    setShown({ feed: [], changes: 0 });
    return () => {
      if (timer.current !== undefined) clearTimeout(timer.current);
      timer.current = undefined;
    };
  }, [queue, jobSet]);
  const stream = useEventStream(queue, jobSet, cursor, pause, take);
  return { ...shown, stream };
}

/** Jobs of the set that ended in the last minute; undefined: not known yet. */
export function useEndedLately(queue: string, jobSet: string, pause: boolean): number | undefined {
  const [found, setFound] = useState<{ key: string; count: number } | undefined>(undefined);
  const hidden = useHidden();
  const key = `${queue}\n${jobSet}`;
  useEffect(() => {
    if (pause || hidden) return undefined;
    let stopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const after = new Date(Date.now() - RATE_MS).toISOString();
      const filter = { queues: [queue], jobSet: { eq: jobSet }, states: [...ENDED], lastTransition: { after } };
      const { data } = await client.query(LATELY, { filter }, { requestPolicy: "network-only" }).toPromise();
      if (stopped) return;
      if (data !== undefined) setFound({ key, count: data.jobGroups.nodes.reduce((sum, group) => sum + group.count, 0) });
      timer = setTimeout(() => void ask(), LATELY_EVERY_MS);
    };
    void ask();
    return () => {
      stopped = true;
      if (timer !== undefined) clearTimeout(timer);
    };
  }, [queue, jobSet, key, pause, hidden]);
  return found?.key === key ? found.count : undefined;
}
