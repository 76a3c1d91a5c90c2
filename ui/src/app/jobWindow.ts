// Jobs of a filter, page by page by key, as a window that grows while one scrolls; rows in sight are kept up to date in place.
import { useCallback, useEffect, useRef, useState } from "react";
import { graphql } from "../gql";
import type { JobFilter, JobOrderField, JobRowsQuery, OrderDirection } from "../gql/graphql";
import { client, type Trouble, troubleOf } from "./client";
import { useHidden } from "./clock";

export const ROWS = graphql(`
  query JobRows($filter: JobFilter, $order: JobOrder, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
    jobs(filter: $filter, order: $order, first: $first, after: $after, last: $last, before: $before) {
      nodes {
        id queue jobSet state priority priorityClass owner namespace annotations submitted lastTransition finished
        requests { cpu memory ephemeralStorage gpu }
        attempt cluster node pool exitCode failureCategory reasonCode reason
        lastRun { started finished }
      }
      pageInfo { hasNextPage startCursor endCursor }
      countEstimate
    }
  }
`);

export type JobRow = JobRowsQuery["jobs"]["nodes"][number];
export interface Order {
  field: JobOrderField;
  direction: OrderDirection;
}

export interface JobWindow {
  rows: readonly JobRow[];
  loading: boolean;
  /** whether this filter and order were answered at least once */
  answered: boolean;
  ended: boolean;
  trouble: Trouble | undefined;
  /** jobs that match and are newer than the first row */
  arrived: number;
  estimate: number | null;
  /** ms since 1970 when the rows in sight were last compared */
  at: number;
  more: () => void;
  again: () => void;
  see: (ids: readonly string[]) => void;
}

const PAGE = 100;
export const ROWS_MAX = 20_000;
const REFRESH_MS = 2_000;
const SEEN_MAX = 200;
export const ARRIVED_MAX = 200;

/** `key` changes when filter or order do: then it begins anew. `paused`: nothing is refreshed. */
export function useJobWindow(key: string, filter: () => JobFilter, order: Order, paused: boolean): JobWindow {
  const [rows, setRows] = useState<readonly JobRow[]>([]);
  const [loading, setLoading] = useState(true);
  const [ended, setEnded] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | undefined>(undefined);
  const [arrived, setArrived] = useState(0);
  const [estimate, setEstimate] = useState<number | null>(null);
  const [at, setAt] = useState(0);
  const [answeredKey, setAnsweredKey] = useState<string | undefined>(undefined);
  const [round, setRound] = useState(0);
  const [page, setPage] = useState(0);
  const hidden = useHidden();
  const seen = useRef<readonly string[]>([]);
  const cursors = useRef<{ start: string | null; end: string | null }>({ start: null, end: null });
  const asking = useRef(false);
  const filterNow = useRef(filter);
  const orderNow = useRef(order);
  useEffect(() => {
    filterNow.current = filter;
    orderNow.current = order;
  });

  useEffect(() => {
    cursors.current = { start: null, end: null };
    asking.current = false;
    setPage(0);
    setArrived(0);
    setEnded(false);
    setLoading(true);
  }, [key, round]);

  useEffect(() => {
    let stopped = false;
    const isFirst = page === 0;
    asking.current = true;
    setLoading(true);
    const variables = { filter: filterNow.current(), order: orderNow.current, first: PAGE, after: isFirst ? null : cursors.current.end };
    void client.query(ROWS, variables, { requestPolicy: "network-only" }).toPromise().then(({ data, error }) => {
      if (stopped) return;
      asking.current = false;
      setLoading(false);
      setAnsweredKey(key);
      if (error !== undefined) {
        setTrouble(troubleOf(error));
        if (isFirst && troubleOf(error).code !== "OFFLINE") setRows([]);
        return;
      }
      if (data === undefined) return;
      const { nodes, pageInfo, countEstimate } = data.jobs;
      setTrouble(undefined);
      setRows((before) => (isFirst ? nodes : merged(before, nodes)));
      if (isFirst) {
        cursors.current.start = pageInfo.startCursor ?? null;
        setEstimate(countEstimate ?? null);
        setAt(Date.now());
      }
      cursors.current.end = pageInfo.endCursor ?? cursors.current.end;
      setEnded(!pageInfo.hasNextPage);
    });
    return () => {
      stopped = true;
    };
  }, [key, round, page]);

  useEffect(() => {
    if (paused || hidden) return undefined;
    let stopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = async (): Promise<void> => {
      const ids = seen.current.slice(0, SEEN_MAX);
      if (ids.length > 0) {
        const { data, error } = await client.query(ROWS, { filter: { ids: [...ids] }, first: SEEN_MAX }, { requestPolicy: "network-only" }).toPromise();
        if (stopped) return;
        if (data !== undefined && error === undefined) {
          const fresh = new Map(data.jobs.nodes.map((node) => [node.id, node]));
          setRows((before) => patched(before, fresh));
          setAt(Date.now());
          setTrouble(undefined);
        } else if (error !== undefined) setTrouble(troubleOf(error));
      } else if (cursors.current.start === null && !asking.current) setRound((count) => count + 1);
      if (cursors.current.start !== null && orderNow.current.direction === "DESC") {
        const variables = { filter: filterNow.current(), order: orderNow.current, last: ARRIVED_MAX, before: cursors.current.start };
        const { data } = await client.query(ROWS, variables, { requestPolicy: "network-only" }).toPromise();
        if (stopped) return;
        if (data !== undefined) setArrived(data.jobs.nodes.length);
      }
      timer = setTimeout(() => void refresh(), REFRESH_MS);
    };
    timer = setTimeout(() => void refresh(), REFRESH_MS);
    return () => {
      stopped = true;
      if (timer !== undefined) clearTimeout(timer);
    };
  }, [key, round, paused, hidden]);

  const more = useCallback(() => {
    if (!asking.current && cursors.current.end !== null) {
      asking.current = true;
      setPage((count) => count + 1);
    }
  }, []);
  const again = useCallback(() => setRound((count) => count + 1), []);
  const see = useCallback((ids: readonly string[]) => {
    seen.current = ids;
  }, []);
  const full = rows.length >= ROWS_MAX;
  return { rows, loading, answered: answeredKey === key, ended: ended || full, trouble, arrived, estimate, at, more: ended || full ? nothing : more, again, see };
}

function nothing(): void {
  return;
}

/** Rows behind those that are there; one that moved meanwhile is not shown twice. */
export function merged(before: readonly JobRow[], next: readonly JobRow[]): readonly JobRow[] {
  const known = new Set(before.map((row) => row.id));
  return [...before, ...next.filter((row) => !known.has(row.id))];
}

/** The same rows in the same order with what is new about them; the same array when nothing is. */
export function patched(before: readonly JobRow[], fresh: ReadonlyMap<string, JobRow>): readonly JobRow[] {
  let changed = false;
  const after = before.map((row) => {
    const next = fresh.get(row.id);
    if (next === undefined || (next.state === row.state && next.lastTransition === row.lastTransition && next.priority === row.priority)) return row;
    changed = true;
    return next;
  });
  return changed ? after : before;
}
