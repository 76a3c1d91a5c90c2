// Jobs of a filter, page by page by key in both directions, kept up to date in place by the stream of their changes.
import { useCallback, useEffect, useRef, useState } from "react";
import type { JobFilter, JobRowsQuery, JobRowsQueryVariables } from "../gql/graphql";
import { client, type Trouble, troubleOf } from "./client";
import { useHidden } from "./clock";
import { type Changes, useJobChanges } from "./jobChanges";
import { begun, changed, continued, type JobRow, type JobsChange, NO_ROWS, type Order, type Page, patched, preceded, ROWS, type Rows } from "./jobRows";

export { ARRIVED_MAX, type JobRow, merged, type Order, patched, ROWS } from "./jobRows";

export interface JobWindow {
  rows: readonly JobRow[];
  /** rows before these that are not held */
  offset: number;
  loading: boolean;
  /** whether this filter and order were answered at least once */
  answered: boolean;
  ended: boolean;
  trouble: Trouble | undefined;
  /** jobs that match, are not here, and would stand among these rows */
  arrived: number;
  gone: ReadonlySet<string>;
  estimate: number | null;
  /** ms since 1970 of what the rows show */
  at: number;
  live: Changes["status"];
  more: () => void;
  earlier: () => void;
  again: () => void;
  see: (ids: readonly string[]) => void;
}

const PAGE = 100;
const SEEN_MAX = 200;
const EMPTY_AGAIN_MS = 1_000;
const RETRY_MS = 2_000;

async function ask(variables: JobRowsQueryVariables): Promise<{ jobs: JobRowsQuery["jobs"] | undefined; trouble: Trouble | undefined }> {
  const { data, error } = await client.query(ROWS, variables, { requestPolicy: "network-only" }).toPromise();
  return { jobs: error === undefined ? data?.jobs : undefined, trouble: error === undefined ? undefined : troubleOf(error) };
}

function pageOf(jobs: JobRowsQuery["jobs"], backwards = false): Page {
  const { hasNextPage, hasPreviousPage, startCursor, endCursor } = jobs.pageInfo;
  return { rows: jobs.nodes, start: startCursor ?? null, end: endCursor ?? null, more: backwards ? hasPreviousPage : hasNextPage };
}

/** `key` changes when filter or order do: then it begins anew. `paused`: nothing is brought up to date. */
export function useJobWindow(key: string, filter: () => JobFilter, order: Order, paused: boolean): JobWindow {
  const [window, setWindow] = useState<Rows>(NO_ROWS);
  const [loading, setLoading] = useState(true);
  const [trouble, setTrouble] = useState<Trouble | undefined>(undefined);
  const [estimate, setEstimate] = useState<number | null>(null);
  const [cursor, setCursor] = useState<string | undefined>(undefined);
  const [answeredKey, setAnsweredKey] = useState<string | undefined>(undefined);
  const [asked, setAsked] = useState({ key, round: 0 });
  const hidden = useHidden();
  const seen = useRef<readonly string[]>([]);
  const asking = useRef(false);
  const now = useRef({ filter, order, window });
  useEffect(() => {
    now.current = { filter, order, window };
  });
  const again = useCallback(() => setAsked((before) => ({ ...before, round: before.round + 1 })), []);

  useEffect(() => {
    let stopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    asking.current = true;
    setLoading(true);
    setCursor(undefined);
    void ask({ filter: now.current.filter(), order: now.current.order, first: PAGE }).then((answer) => {
      if (stopped) return;
      asking.current = false;
      setLoading(false);
      setAnsweredKey(key);
      setTrouble(answer.trouble);
      if (answer.jobs !== undefined) {
        setWindow(begun(pageOf(answer.jobs)));
        setEstimate(answer.jobs.countEstimate ?? null);
        setCursor(answer.jobs.cursor);
      } else if (answer.trouble?.code === "OFFLINE" || answer.trouble?.code === "UNAVAILABLE") timer = setTimeout(again, RETRY_MS);
      else setWindow(NO_ROWS);
    });
    return () => {
      stopped = true;
      if (timer !== undefined) clearTimeout(timer);
    };
  }, [key, asked, again]);

  /** A page at an end; nothing comes of it when the list began anew meanwhile. */
  const page = useCallback(async (backwards: boolean): Promise<void> => {
    const { pages } = now.current.window;
    const from = backwards ? pages[0]?.start : pages.at(-1)?.end;
    if (asking.current || from === undefined || from === null) return;
    asking.current = true;
    setLoading(true);
    const ends = backwards ? { last: PAGE, before: from } : { first: PAGE, after: from };
    const answer = await ask({ filter: now.current.filter(), order: now.current.order, ...ends });
    const place = backwards ? now.current.window.pages[0]?.start : now.current.window.pages.at(-1)?.end;
    if (place !== from) return;
    asking.current = false;
    setLoading(false);
    setTrouble(answer.trouble);
    const { jobs } = answer;
    if (jobs !== undefined) setWindow((before) => (backwards ? preceded(before, pageOf(jobs, true)) : continued(before, pageOf(jobs))));
  }, []);

  const take = useCallback((change: JobsChange) => {
    setTrouble(undefined);
    setWindow((before) => changed(before, change, now.current.order, Date.now()));
  }, []);
  /** The stream cannot go on: what is in sight is asked for again, and the stream begins with that answer. */
  const lost = useCallback(() => {
    void ask({ filter: { ids: seen.current.slice(0, SEEN_MAX) }, first: SEEN_MAX }).then(({ jobs, trouble: found }) => {
      setTrouble(found);
      if (jobs === undefined) {
        again();
        return;
      }
      const fresh = new Map(jobs.nodes.map((row) => [row.id, row]));
      setWindow((before) => ({ ...before, rows: patched(before.rows, fresh) }));
      setCursor(jobs.cursor);
    });
  }, [again]);
  const changes = useJobChanges(filter, cursor, paused || hidden, take, lost);

  // Nobody reads an empty list: its first job is shown at once.
  const isWaiting = window.rows.length === 0 && window.arrived.size > 0 && !paused;
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setTimeout(again, EMPTY_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [isWaiting, again]);

  const more = useCallback(() => void page(false), [page]);
  const earlier = useCallback(() => void page(true), [page]);
  const see = useCallback((ids: readonly string[]) => {
    seen.current = ids;
  }, []);
  const isCut = changes.status === "waiting" || changes.status === "refused";
  const cut = isCut ? { code: changes.status === "waiting" ? "OFFLINE" : "INVALID", message: changes.refusal } : undefined;
  return {
    rows: window.rows,
    offset: window.offset,
    loading,
    answered: answeredKey === key,
    ended: window.ended,
    trouble: trouble ?? cut,
    arrived: window.arrived.size,
    gone: window.gone,
    estimate,
    at: changes.at,
    live: changes.status,
    more: window.ended ? nothing : more,
    earlier: window.offset === 0 ? nothing : earlier,
    again,
    see,
  };
}

function nothing(): void {
  return;
}
