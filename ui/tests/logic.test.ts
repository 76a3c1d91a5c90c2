import { expect, test } from "vitest";
import { merged, patched, type JobRow } from "../src/app/jobWindow";
import { csvCell, csvLine } from "../src/lib/csv";
import { shareGrid } from "../src/lib/series";
import { toYaml } from "../src/lib/yaml";
import { spansOf } from "../src/parts/runs";

const row = (id: string, state = "QUEUED"): JobRow => ({ id, state, lastTransition: "t", priority: 1 }) as JobRow;

test("a page behind others adds only rows that are not there yet", () => {
  expect(merged([row("a"), row("b")], [row("b"), row("c")]).map((each) => each.id)).toEqual(["a", "b", "c"]);
});
test("rows are changed in place, in the order they had; nothing new leaves the same array", () => {
  const before = [row("a"), row("b"), row("c")];
  const after = patched(before, new Map([["b", row("b", "RUNNING")]]));
  expect(after.map((each) => `${each.id} ${each.state}`)).toEqual(["a QUEUED", "b RUNNING", "c QUEUED"]);
  expect(patched(before, new Map([["b", row("b")]]))).toBe(before);
});
test("cells of a file are quoted, and never run as formulas", () => {
  expect(csvLine(["a", 'say "hi"', "x,y"])).toBe('a,"say ""hi""","x,y"\r\n');
  expect(["=1+1", "@x", "-rm", "-5"].map(csvCell)).toEqual(["'=1+1", "'@x", "'-rm", "-5"]);
});
test("shares hold until the next report and are absent before the first", () => {
  const point = (time: string, queue: string, actualShare: number) => ({ time, queue, actualShare, fairShare: 0, adjustedShare: 0, demandShare: 0 });
  const begin = Date.parse("2026-11-24T00:00:00Z");
  const grid = shareGrid([point("2026-11-24T00:00:00Z", "a", 0.1), point("2026-11-24T00:00:20Z", "b", 0.5)], begin, begin + 40_000, 10_000);
  expect(grid.queues.get("a")?.map((each) => each?.actualShare ?? null)).toEqual([0.1, 0.1, 0.1, 0.1, 0.1]);
  expect(grid.queues.get("b")?.map((each) => each?.actualShare ?? null)).toEqual([null, null, 0.5, 0.5, 0.5]);
});
test("a spec reads as YAML", () => {
  expect(toYaml({ name: "a", args: ["sleep", "10"], on: true, env: [{ name: "X", value: "1: 2" }], none: {}, list: [] })).toBe(
    'name: a\nargs:\n- sleep\n- "10"\n"on": true\nenv:\n- name: X\n  value: "1: 2"\nnone: {}\nlist: []\n',
  );
});
test("a job waits wherever no run holds it", () => {
  const at = (seconds: number): string => new Date(seconds * 1_000).toISOString();
  const run = { id: "r", attempt: 1, cluster: "c", node: "n", pool: "p", state: "SUCCEEDED", leased: at(5), pending: at(6), started: at(8), finished: at(20), exitCode: 0, failureCategory: null, reasonCode: null, reason: null };
  const spans = spansOf({ submitted: at(0), finished: at(20), runs: [run] }, 99_000);
  expect(spans.map((span) => [span.state, span.from / 1_000, span.to / 1_000])).toEqual([["QUEUED", 0, 5], ["LEASED", 5, 6], ["PENDING", 6, 8], ["RUNNING", 8, 20]]);
  expect(spansOf({ submitted: at(0), finished: null, runs: [] }, 4_000).map((span) => span.to)).toEqual([4_000]);
});
