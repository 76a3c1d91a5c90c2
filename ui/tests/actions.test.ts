import { describe, expect, test } from "vitest";
import { whyNot } from "../src/app/allowed";
import { filtersOf, type Preview, summed } from "../src/app/jobVerbs";
import { histogram, niceStep, quantile } from "../src/lib/histogram";
import { capsOf, changeOf, draftOf, EMPTY, fieldOf, inputOf, labelsOf, limitsOf, wrongFields } from "../src/lib/queueEdit";
import { meaningOf } from "../src/parts/exitCode";
import { type ActionJob, pointless } from "../src/parts/jobActions";

const preview = (change: Partial<Preview>): Preview => ({ count: 0, complete: true, touched: 0, stateCounts: [], refused: [], ...change });
const job = (state: ActionJob["state"], preemptible?: boolean): ActionJob => ({ id: state, queue: "a", state, priority: 0, ...(preemptible === undefined ? {} : { preemptible }) });

describe("what a verb concerns", () => {
  test("many ids are asked for in portions, none is lost", () => {
    const ids = Array.from({ length: 1_201 }, (_, index) => `j${index}`);
    const filters = filtersOf({ kind: "ids", ids });
    expect(filters.map((filter) => filter.ids?.length)).toEqual([500, 500, 201]);
    expect(filters.flatMap((filter) => filter.ids ?? [])).toEqual(ids);
  });
  test("a set is a filter of its queue and name", () => {
    expect(filtersOf({ kind: "set", queue: "a", jobSet: "s" })).toEqual([{ queues: ["a"], jobSet: { eq: "s" } }]);
  });
  test("previews of portions add up by state and by reason", () => {
    const refused = [{ code: "FORBIDDEN" as const, message: "no", count: 2 }];
    const sum = summed([
      preview({ count: 3, touched: 1, stateCounts: [{ state: "QUEUED", count: 1 }], refused }),
      preview({ count: 5, touched: 4, complete: false, stateCounts: [{ state: "QUEUED", count: 1 }, { state: "RUNNING", count: 3 }], refused }),
    ]);
    expect(sum).toEqual({ count: 8, touched: 5, complete: false, stateCounts: [{ state: "QUEUED", count: 2 }, { state: "RUNNING", count: 3 }], refused: [{ code: "FORBIDDEN", message: "no", count: 4 }] });
  });
});

describe("what is off says why", () => {
  test("only where nothing would come of it for any job", () => {
    expect(pointless("CANCEL", [job("FAILED")])).toBe("The job has ended.");
    expect(pointless("CANCEL", [job("FAILED"), job("QUEUED")])).toBe("");
    expect(pointless("PREEMPT", [job("QUEUED")])).toContain("holds no node");
    expect(pointless("PREEMPT", [job("RUNNING", false)])).toContain("not preempted");
    expect(pointless("PREEMPT", [job("RUNNING")])).toBe("");
    expect(pointless("REPRIORITIZE", [job("QUEUED")])).toBe("");
  });
  test("a verb is refused when each of the queues refuses it", () => {
    const refusals = new Map([["a", [{ verb: "cancel", reason: "not yours" }]], ["b", []]]);
    expect(whyNot(refusals, "cancel", ["a"])).toBe("not yours");
    expect(whyNot(refusals, "cancel", ["a", "b"])).toBe("");
    expect(whyNot(refusals, "cancel", ["unknown"])).toBe("");
    expect(whyNot(new Map(), "cancel", [])).toBe("");
  });
});

describe("a queue's settings", () => {
  const queue = { name: "a", priorityFactor: 2, owners: ["alice"], groupOwners: [], labels: { team: "x" }, resourceLimitsByPriorityClass: { low: { cpu: 0.3 } } };
  test("fractions become percent and come back as they were", () => {
    expect(capsOf(queue.resourceLimitsByPriorityClass)).toEqual([{ priorityClass: "low", resource: "cpu", percent: 30 }]);
    expect(limitsOf(capsOf({ low: { cpu: 0.07, memory: 0.29 } }))).toEqual({ low: { cpu: 0.07, memory: 0.29 } });
  });
  test("only what was changed is sent; null keeps the rest", () => {
    const before = draftOf(queue);
    expect(changeOf(before, { ...before, priorityFactor: 4, caps: [] })).toEqual({
      name: "a", priorityFactor: 4, cordoned: null, owners: null, groupOwners: null, permissions: null, resourceLimitsByPriorityClass: {}, labels: null, retryPolicies: null,
    });
  });
  test("names each field that cannot be sent", () => {
    expect(wrongFields(EMPTY)).toEqual(["name"]);
    expect(wrongFields({ ...EMPTY, name: "a", priorityFactor: 0.5, labels: "x", caps: [{ priorityClass: "", resource: "cpu", percent: 50 }] })).toEqual(["priorityFactor", "labels", "resourceLimitsByPriorityClass"]);
    expect(labelsOf("a=1\n b = 2=3 \n")).toEqual({ a: "1", b: "2=3" });
    expect(inputOf({ ...EMPTY, name: " a " }).name).toBe("a");
  });
  test("finds the field of a fault by its path", () => {
    expect(["queues[0].priorityFactor", "queues[0].labels.team", "queues[3]", "names[0]"].map(fieldOf)).toEqual(["priorityFactor", "labels", "", ""]);
  });
});

test("an exit code says what it usually means", () => {
  expect(meaningOf(137)).toContain("SIGKILL");
  expect(meaningOf(127)).toContain("not found");
  expect(meaningOf(3)).toBe("");
});
test("a histogram holds every value once, in bins of a round width", () => {
  expect(niceStep(0.3)).toBeCloseTo(0.5);
  expect(niceStep(130)).toBe(200);
  const bins = histogram([100, 900, 1_000, 4_100], 5);
  expect(bins.map((bin) => [bin.from, bin.count])).toEqual([[0, 2], [1_000, 1], [2_000, 0], [3_000, 0], [4_000, 1]]);
  expect(histogram([], 5)).toEqual([]);
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(3);
});
