// A window of a long list of jobs: pages put on at both ends and taken off at the far one, rows changed where they stand. Pure.
import { graphql } from "../gql";
import type { JobOrderField, JobRowsQuery, JobStreamSubscription, OrderDirection } from "../gql/graphql";
import { STATES } from "../lib/jobQuery";

export const ROWS = graphql(`
  query JobRows($filter: JobFilter, $order: JobOrder, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
    jobs(filter: $filter, order: $order, first: $first, after: $after, last: $last, before: $before) {
      nodes {
        id queue jobSet state priority priorityClass owner namespace annotations submitted lastTransition finished
        requests { cpu memory ephemeralStorage gpu }
        attempt cluster node pool exitCode failureCategory reasonCode reason
        lastRun { started finished }
      }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      countEstimate
      cursor
    }
  }
`);

export type JobRow = JobRowsQuery["jobs"]["nodes"][number];
export type JobsChange = JobStreamSubscription["jobsChanged"];
export interface Order {
  field: JobOrderField;
  direction: OrderDirection;
}

export interface Page {
  rows: readonly JobRow[];
  start: string | null;
  end: string | null;
  more: boolean;
}

/** Rows `offset`.. of a list whose beginning may have been taken off. pages: where each of them begins and ends. */
export interface Rows {
  rows: readonly JobRow[];
  offset: number;
  pages: readonly { count: number; start: string | null; end: string | null }[];
  ended: boolean;
  /** jobs that stand here and do not match the filter any more */
  gone: ReadonlySet<string>;
  /** jobs that would stand among these rows and are not here */
  arrived: ReadonlySet<string>;
}

export const WINDOW_MAX = 2_000;
export const ARRIVED_MAX = 1_000;
export const NO_ROWS: Rows = { rows: [], offset: 0, pages: [], ended: false, gone: new Set(), arrived: new Set() };

export function begun(page: Page): Rows {
  return { ...NO_ROWS, rows: page.rows, pages: [placeOf(page, page.rows.length)], ended: !page.more };
}

/** The page behind the last row. What moved here meanwhile is not shown twice. Pages at the beginning go when it is too much. */
export function continued(window: Rows, page: Page): Rows {
  const added = merged(window.rows, page.rows).slice(window.rows.length);
  let rows = [...window.rows, ...added];
  let offset = window.offset;
  const pages = [...window.pages, placeOf(page, added.length)];
  while (rows.length > WINDOW_MAX && pages.length > 1) {
    const count = pages.shift()?.count ?? 0;
    rows = rows.slice(count);
    offset += count;
  }
  return { ...window, rows, offset, pages, ended: !page.more, arrived: without(window.arrived, page.rows) };
}

/** The page before the first row. Where the list turns out to begin here, nothing is left before it. */
export function preceded(window: Rows, page: Page): Rows {
  const known = new Set(window.rows.map((row) => row.id));
  const added = page.rows.filter((row) => !known.has(row.id));
  let rows = [...added, ...window.rows];
  const pages = [placeOf(page, added.length), ...window.pages];
  let ended = window.ended;
  while (rows.length > WINDOW_MAX && pages.length > 1) {
    rows = rows.slice(0, rows.length - (pages.pop()?.count ?? 0));
    ended = false;
  }
  const offset = page.more ? Math.max(1, window.offset - added.length) : 0;
  return { ...window, rows, offset, pages, ended, arrived: without(window.arrived, page.rows) };
}

function placeOf(page: Page, count: number): Rows["pages"][number] {
  return { count, start: page.start, end: page.end };
}

function without(ids: ReadonlySet<string>, rows: readonly JobRow[]): ReadonlySet<string> {
  if (ids.size === 0) return ids;
  const shown = new Set(rows.map((row) => row.id));
  return new Set([...ids].filter((id) => !shown.has(id)));
}

/** A batch of the stream: rows change where they stand, others are counted when they would stand among them. */
export function changed(window: Rows, change: Pick<JobsChange, "changed" | "left">, order: Order, now: number): Rows {
  if (change.changed.length === 0 && change.left.length === 0) return window;
  const fresh = new Map<string, Partial<JobRow>>([...change.changed, ...change.left].map((row) => [row.id, row]));
  const rows = patched(window.rows, fresh);
  const shown = new Set(rows.map((row) => row.id));
  const gone = new Set(window.gone);
  const arrived = new Set(window.arrived);
  const last = rows.at(-1);
  for (const row of change.changed) {
    gone.delete(row.id);
    const isAmong = window.ended || last === undefined || compared(order, row, last, now) < 0;
    if (!shown.has(row.id) && isAmong && arrived.size < ARRIVED_MAX) arrived.add(row.id);
  }
  for (const { id } of change.left) {
    if (shown.has(id)) gone.add(id);
    arrived.delete(id);
  }
  return { ...window, rows, gone, arrived };
}

/** Below 0 when `a` stands before `b` in a list of this order. */
export function compared(order: Order, a: JobRow, b: JobRow, now: number): number {
  const [left, right] = [sortKey(order.field, a, now), sortKey(order.field, b, now)];
  if (order.field === "RUN_TIME" && (left[0] === NONE) !== (right[0] === NONE)) return left[0] === NONE ? 1 : -1;
  for (const [index, value] of left.entries()) {
    const other = right[index];
    if (other === undefined || value === other) continue;
    const isBefore = value < other === (order.direction === "ASC");
    return isBefore ? -1 : 1;
  }
  return 0;
}

const NONE = -1e15;

function sortKey(field: JobOrderField, row: JobRow, now: number): (string | number)[] {
  switch (field) {
    case "LAST_TRANSITION": return [Date.parse(row.lastTransition), row.id];
    case "QUEUE": return [row.queue, row.id];
    // Equal names of two queues stand in the server's own order, which only it knows.
    case "JOB_SET": return [row.jobSet];
    case "STATE": return [STATES.indexOf(row.state), row.id];
    case "PRIORITY": return [row.priority, row.id];
    case "RUN_TIME": return [runMs(row, now) ?? NONE, row.id];
    default: return [row.id];
  }
}

function runMs(row: JobRow, now: number): number | undefined {
  const run = row.lastRun;
  if (!run?.started) return undefined;
  return (run.finished ? Date.parse(run.finished) : now) - Date.parse(run.started);
}

/** Rows behind those that are there; one that moved meanwhile is not shown twice. */
export function merged(before: readonly JobRow[], next: readonly JobRow[]): readonly JobRow[] {
  const known = new Set(before.map((row) => row.id));
  return [...before, ...next.filter((row) => !known.has(row.id))];
}

/** The same rows in the same order with what is new about them; the same array when nothing is. */
export function patched(before: readonly JobRow[], fresh: ReadonlyMap<string, Partial<JobRow>>): readonly JobRow[] {
  let isChanged = false;
  const after = before.map((row) => {
    const next = fresh.get(row.id);
    if (next === undefined || (next.state === row.state && next.lastTransition === row.lastTransition && next.priority === row.priority)) return row;
    isChanged = true;
    return { ...row, ...next };
  });
  return isChanged ? after : before;
}
