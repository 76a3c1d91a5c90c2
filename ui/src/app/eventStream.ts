// The events of a job set, live: history to the end, then as they happen; after a lost connection it goes on at its cursor.
import { print } from "graphql";
import { useEffect, useRef, useState } from "react";
import { graphql } from "../gql";
import type { JobSetStreamSubscription } from "../gql/graphql";
import { subscriptions } from "./client";
import { useHidden } from "./clock";

const STREAM = graphql(`
  subscription JobSetStream($queue: String!, $jobSet: String!, $after: Cursor) {
    jobSetEvents(queue: $queue, jobSet: $jobSet, after: $after) {
      events { id kind terminal time jobId runId attempt cluster node reason reasonCode exitCode requestor }
      cursor
      caughtUp
      heartbeat
    }
  }
`);
const TEXT = print(STREAM);
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 10_000;

export type StreamBatch = JobSetStreamSubscription["jobSetEvents"];
export type StreamEvent = StreamBatch["events"][number];
export type StreamStatus = "connecting" | "live" | "waiting" | "paused" | "refused";

export interface Stream {
  status: StreamStatus;
  /** ms since 1970 of the last batch or heartbeat */
  heard: number;
  refusal: string;
}

/** `after`: the cursor to begin with (undefined: not yet). `take` gets every batch once, in order. */
export function useEventStream(queue: string, jobSet: string, after: string | undefined, pause: boolean, take: (batch: StreamBatch) => void): Stream {
  const [stream, setStream] = useState<Stream>({ status: "connecting", heard: 0, refusal: "" });
  const cursor = useRef<string | undefined>(undefined);
  const taker = useRef(take);
  const hidden = useHidden();
  useEffect(() => {
    taker.current = take;
  });
  useEffect(() => {
    cursor.current = undefined;
  }, [queue, jobSet]);

  const stopped = pause || hidden;
  const ready = after !== undefined;
  useEffect(() => {
    if (stopped || !ready) {
      if (stopped) setStream((before) => ({ ...before, status: "paused" }));
      return undefined;
    }
    let ended = false;
    let pauseMs = PAUSE_MIN_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let close = (): void => undefined;
    cursor.current ??= after;

    const again = (): void => {
      if (ended) return;
      setStream((before) => ({ ...before, status: "waiting" }));
      timer = setTimeout(open, pauseMs);
      pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2);
    };
    const open = (): void => {
      close = subscriptions().subscribe<JobSetStreamSubscription>(
        { query: TEXT, variables: { queue, jobSet, after: cursor.current } },
        {
          next: ({ data, errors }) => {
            if (ended) return;
            const first = errors?.[0];
            if (first !== undefined) {
              const code = first.extensions?.["code"];
              if (code === "FORBIDDEN" || code === "INVALID" || code === "NOT_FOUND") {
                ended = true;
                setStream({ status: "refused", heard: 0, refusal: first.message });
              }
              return;
            }
            if (!data) return;
            pauseMs = PAUSE_MIN_MS;
            cursor.current = data.jobSetEvents.cursor;
            setStream({ status: "live", heard: Date.now(), refusal: "" });
            taker.current(data.jobSetEvents);
          },
          error: (problem) => {
            const first = Array.isArray(problem) ? (problem[0] as { message?: string; extensions?: { code?: string } } | undefined) : undefined;
            if (first?.extensions?.code === "FORBIDDEN" || first?.extensions?.code === "NOT_FOUND") {
              ended = true;
              setStream({ status: "refused", heard: 0, refusal: first.message ?? "" });
            } else again();
          },
          complete: again,
        },
      );
    };
    open();
    return () => {
      ended = true;
      if (timer !== undefined) clearTimeout(timer);
      close();
    };
  }, [queue, jobSet, after, ready, stopped]);
  return stream;
}
