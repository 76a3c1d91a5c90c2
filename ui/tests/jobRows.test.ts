import { expect, test } from "vitest";
import { begun, changed, compared, continued, type JobRow, NO_ROWS, type Order, type Page, preceded, type Rows, WINDOW_MAX } from "../src/app/jobRows";

const row = (id: string, more: Partial<JobRow> = {}): JobRow => ({ id, state: "QUEUED", queue: "q", jobSet: "s", priority: 1, lastTransition: "2026-11-24T07:00:00Z", ...more }) as JobRow;
const page = (ids: readonly string[], more = true): Page => ({ rows: ids.map((id) => row(id)), start: ids[0] ?? null, end: ids.at(-1) ?? null, more });
const numbered = (from: number, count: number): string[] => Array.from({ length: count }, (_, index) => String(99_999 - from - index));
const ids = (window: Rows): string[] => window.rows.map((each) => each.id);
const NEWEST: Order = { field: "ID", direction: "DESC" };
const NOW = Date.parse("2026-11-24T08:00:00Z");

test("a window keeps its bound while one scrolls down, and everything comes back while one scrolls up", () => {
  let window = begun(page(numbered(0, 100)));
  for (let at = 100; at < 5_000; at += 100) window = continued(window, page(numbered(at, 100), at < 4_900));
  expect(window.rows.length).toBe(WINDOW_MAX);
  expect(window.offset).toBe(5_000 - WINDOW_MAX);
  expect(window.ended).toBe(true);
  expect(ids(window)).toEqual(numbered(3_000, WINDOW_MAX));
  for (let at = 2_900; at >= 0; at -= 100) {
    expect(window.pages[0]?.start).toBe(numbered(at + 100, 1)[0]);
    window = preceded(window, page(numbered(at, 100), at > 0));
  }
  expect(ids(window)).toEqual(numbered(0, WINDOW_MAX));
  expect([window.offset, window.ended]).toEqual([0, false]);
  expect(window.pages.at(-1)?.end).toBe(numbered(WINDOW_MAX - 1, 1)[0]);
});
test("the beginning of a list that has grown meanwhile has no rows before it; one that has shrunk neither", () => {
  const deep: Rows = { ...begun(page(["m", "l"])), offset: 1 };
  expect(preceded(deep, page(["p", "o", "n"], true)).offset).toBe(1);
  expect(preceded({ ...deep, offset: 50 }, page(["n"], false)).offset).toBe(0);
});
test("a change alters rows where they stand and counts those that would stand among them", () => {
  const window = begun(page(["e", "d", "c"]));
  const after = changed(window, { changed: [row("d", { state: "RUNNING" }), row("f"), row("b")], left: [] }, NEWEST, NOW);
  expect(ids(after)).toEqual(["e", "d", "c"]);
  expect(after.rows.map((each) => each.state)).toEqual(["QUEUED", "RUNNING", "QUEUED"]);
  expect([...after.arrived]).toEqual(["f"]);
  expect([...changed({ ...window, ended: true }, { changed: [row("b")], left: [] }, NEWEST, NOW).arrived]).toEqual(["b"]);
});
test("a job that leaves the filter stays, marked, until it comes back; one that was only counted is not any more", () => {
  const window = changed(begun(page(["e", "d"])), { changed: [row("f")], left: [] }, NEWEST, NOW);
  const left = changed(window, { changed: [], left: [row("d", { state: "FAILED" }), row("f"), row("x")] as never }, NEWEST, NOW);
  expect([ids(left), [...left.gone], [...left.arrived]]).toEqual([["e", "d"], ["d"], []]);
  expect(left.rows[1]?.state).toBe("FAILED");
  expect([...changed(left, { changed: [row("d")], left: [] }, NEWEST, NOW).gone]).toEqual([]);
});
test("nothing new is the same window", () => {
  expect(changed(NO_ROWS, { changed: [], left: [] }, NEWEST, NOW)).toBe(NO_ROWS);
});
test("a page takes the jobs that it shows out of the count", () => {
  const window = changed(begun(page(["e", "d"], true)), { changed: [row("f"), row("g")], left: [] }, NEWEST, NOW);
  expect([...continued(window, page(["f", "a"])).arrived]).toEqual(["g"]);
});
test("orders are the server's", () => {
  const sorted = (field: Order["field"], direction: Order["direction"], rows: JobRow[]): string[] => [...rows].sort((a, b) => compared({ field, direction }, a, b, NOW)).map((each) => each.id);
  const ran = (id: string, seconds: number): JobRow => row(id, { lastRun: { started: "2026-11-24T07:00:00Z", finished: new Date(Date.parse("2026-11-24T07:00:00Z") + seconds * 1_000).toISOString() } } as never);
  const running = row("r", { lastRun: { started: "2026-11-24T07:59:00Z", finished: null } } as never);
  const rows = [ran("a", 10), row("n"), running, ran("b", 3_600), row("m")];
  expect(sorted("RUN_TIME", "DESC", rows)).toEqual(["b", "r", "a", "n", "m"]);
  expect(sorted("RUN_TIME", "ASC", rows)).toEqual(["a", "r", "b", "m", "n"]);
  const states = [row("a", { state: "FAILED" }), row("b"), row("c", { state: "FAILED" })];
  expect(sorted("STATE", "ASC", states)).toEqual(["b", "a", "c"]);
  expect(sorted("STATE", "DESC", states)).toEqual(["c", "a", "b"]);
  expect(sorted("PRIORITY", "DESC", [row("a", { priority: 9 }), row("b", { priority: 10 }), row("c", { priority: 9 })])).toEqual(["b", "c", "a"]);
  expect(sorted("QUEUE", "ASC", [row("a", { queue: "y" }), row("b", { queue: "x" })])).toEqual(["b", "a"]);
  expect(sorted("LAST_TRANSITION", "DESC", [row("a"), row("b", { lastTransition: "2026-11-24T07:00:01Z" }), row("c")])).toEqual(["b", "c", "a"]);
});
