import { describe, expect, test } from "vitest";
import { completed, completions, parseQuery, valuesOf, withKey, words } from "../src/lib/jobQuery";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const ID = "01kas1x8vq0123456789abcdef".replace(/[ilou]/g, "x");

describe("parseQuery", () => {
  test("understands every kind of word at once", () => {
    const { filter, problems } = parseQuery("queue:a,b state:running,failed gpu>0 memory>=16Gi priority<=5 exit:137 submitted:<1h ann.team=x set:run-* ns:default", NOW);
    expect(problems).toEqual([]);
    expect(filter).toEqual({
      queues: ["a", "b"],
      states: ["RUNNING", "FAILED"],
      gpu: { gt: "0" },
      memory: { gte: "16Gi" },
      priority: { lte: 5 },
      exitCode: { eq: 137 },
      submitted: { after: "2026-11-24T11:00:00.000Z" },
      annotations: [{ key: "team", value: { in: ["x"] } }],
      jobSet: { startsWith: "run-" },
      namespace: { in: ["default"] },
    });
  });
  test("takes an age with > as older, and a date as from then on", () => {
    expect(parseQuery("changed:>2d submitted:2026-11-20", NOW).filter).toEqual({
      lastTransition: { before: "2026-11-22T12:00:00.000Z" },
      submitted: { after: "2026-11-20T00:00:00.000Z" },
    });
  });
  test("reads live and ended as their states, in order and once", () => {
    expect(parseQuery("state:running,live", NOW).filter.states).toEqual(["QUEUED", "LEASED", "PENDING", "RUNNING"]);
    expect(parseQuery("state:ended", NOW).filter.states).toHaveLength(5);
  });
  test("takes a bare id as an id and another bare word as part of a job set", () => {
    expect(parseQuery(ID, NOW).filter).toEqual({ ids: [ID] });
    expect(parseQuery("nightly", NOW).filter).toEqual({ jobSet: { contains: "nightly" } });
  });
  test("keeps spaces in quotes together", () => {
    expect(words('ann.note="two words" queue:a')).toEqual(['ann.note="two words"', "queue:a"]);
    expect(parseQuery('ann.note="two words"', NOW).filter.annotations).toEqual([{ key: "note", value: { in: ["two words"] } }]);
  });
  test.each([
    ["colour:red", "no filter"],
    ["state:asleep", "no state asleep"],
    ["cpu>lots", "not a quantity"],
    ["exit:one", "not a whole number"],
    ["submitted:soon", "write an age"],
    ["id:123", "not a job id"],
    ["queue:", "no value"],
  ])("names what is wrong with %s and filters nothing", (query, message) => {
    const { filter, problems } = parseQuery(query, NOW);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain(message);
    expect(filter).toEqual({});
  });
});

describe("changing a query", () => {
  test("sets and takes away one key and leaves the others", () => {
    expect(withKey("queue:a state:queued gpu>0", "state", ["running", "failed"])).toBe("queue:a gpu>0 state:running,failed");
    expect(withKey("queue:a state:queued", "state", [])).toBe("queue:a");
    expect(withKey("", "queue", ["two words"])).toBe('queue:"two words"');
    expect(valuesOf("queue:a,b state:queued", "queue")).toEqual(["a", "b"]);
  });
  test("completes keys, states and names where the caret is", () => {
    expect(completions("q", {})).toEqual(["queue:"]);
    expect(completions("state:ru", {})).toEqual(["state:running"]);
    expect(completions("queue:a,b", { queue: ["alpha", "beta"] })).toEqual(["queue:a,beta"]);
    expect(completed("gpu>0 q", "queue:")).toBe("gpu>0 queue:");
    expect(completed("queue:al", "queue:alpha")).toBe("queue:alpha ");
  });
});
