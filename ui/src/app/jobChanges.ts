// Changes of a list's jobs as they become visible; after a lost connection, a pause or a hidden tab it goes on at its cursor.
import { print } from "graphql";
import { useEffect, useRef, useState } from "react";
import { graphql } from "../gql";
import type { JobFilter, JobStreamSubscription } from "../gql/graphql";
import { subscriptions } from "./client";
import type { JobsChange } from "./jobRows";

const STREAM = graphql(`
  subscription JobStream($filter: JobFilter!, $after: Cursor) {
    jobsChanged(filter: $filter, after: $after) {
      changed {
        id queue jobSet state priority priorityClass owner namespace annotations submitted lastTransition finished
        requests { cpu memory ephemeralStorage gpu }
        attempt cluster node pool exitCode failureCategory reasonCode reason
        lastRun { started finished }
      }
      left { id state priority lastTransition finished attempt cluster node pool exitCode failureCategory reasonCode reason lastRun { started finished } }
      cursor
      caughtUp
      lag
    }
  }
`);
const TEXT = print(STREAM);
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 10_000;
/** The server says something every 5 s; a connection that is silent for longer is dead. */
const SILENCE_MS = 15_000;

export type ChangesStatus = "connecting" | "live" | "waiting" | "stopped" | "refused";

export interface Changes {
  status: ChangesStatus;
  /** ms since 1970 of what the rows show; 0: not known yet */
  at: number;
  refusal: string;
}

interface Problem {
  message?: string;
  extensions?: { code?: string };
}

/** `after`: the cursor of the list (undefined: none yet). `take` gets every change once, in order; `lost`: the cursor is too old. */
export function useJobChanges(
  filter: () => JobFilter,
  after: string | undefined,
  stopped: boolean,
  take: (change: JobsChange) => void,
  lost: () => void,
): Changes {
  const [changes, setChanges] = useState<Changes>({ status: "connecting", at: 0, refusal: "" });
  const cursor = useRef<{ of: string | undefined; at: string | undefined }>({ of: undefined, at: undefined });
  const latest = useRef({ filter, take, lost });
  useEffect(() => {
    latest.current = { filter, take, lost };
  });

  useEffect(() => {
    if (after === undefined) return undefined;
    if (cursor.current.of !== after) cursor.current = { of: after, at: after };
    if (stopped) {
      setChanges((before) => ({ ...before, status: "stopped" }));
      return undefined;
    }
    let ended = false;
    let attempt = 0;
    let pauseMs = PAUSE_MIN_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let close = (): void => undefined;

    const wait = (ms: number, then: () => void): void => {
      if (timer !== undefined) clearTimeout(timer);
      timer = setTimeout(then, ms);
    };
    const again = (): void => {
      if (ended) return;
      setChanges((before) => ({ ...before, status: "waiting" }));
      attempt += 1;
      close();
      wait(pauseMs, open);
      pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2);
    };
    const failed = (problem: Problem | undefined): void => {
      const code = problem?.extensions?.code;
      if (ended) return;
      if (code === "CURSOR_EXPIRED" || code === "CONSUMER_TOO_SLOW") {
        ended = true;
        setChanges((before) => ({ ...before, status: "waiting" }));
        latest.current.lost();
      } else if (code === "INVALID" || code === "FORBIDDEN" || code === "UNAUTHENTICATED") {
        ended = true;
        setChanges((before) => ({ ...before, status: "refused", refusal: problem?.message ?? "" }));
      } else again();
    };
    const open = (): void => {
      const mine = attempt;
      const isOld = (): boolean => ended || mine !== attempt;
      wait(SILENCE_MS, again);
      close = subscriptions().subscribe<JobStreamSubscription>(
        { query: TEXT, variables: { filter: latest.current.filter(), after: cursor.current.at } },
        {
          next: ({ data, errors }) => {
            if (isOld()) return;
            if (errors?.[0] !== undefined || !data) {
              failed(errors?.[0]);
              return;
            }
            pauseMs = PAUSE_MIN_MS;
            cursor.current.at = data.jobsChanged.cursor;
            latest.current.take(data.jobsChanged);
            setChanges({ status: "live", at: Date.now() - (data.jobsChanged.lag ?? 0) * 1_000, refusal: "" });
            wait(SILENCE_MS, again);
          },
          error: (problem) => {
            if (!isOld()) failed(Array.isArray(problem) ? (problem[0] as Problem | undefined) : undefined);
          },
          complete: () => {
            if (!isOld()) again();
          },
        },
      );
    };
    open();
    return () => {
      ended = true;
      if (timer !== undefined) clearTimeout(timer);
      close();
    };
  }, [after, stopped]);
  return changes;
}
