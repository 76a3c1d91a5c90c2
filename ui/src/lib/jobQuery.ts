// The language of the query box: `queue:a,b state:running gpu>0 submitted:<1h ann.team=x set:run-*`. Pure.
import type { JobFilter, JobState } from "../gql/graphql";

export interface Problem {
  text: string;
  message: string;
}

export interface ParsedQuery {
  filter: JobFilter;
  problems: Problem[];
}

export const STATES: readonly JobState[] = [
  "QUEUED",
  "LEASED",
  "PENDING",
  "RUNNING",
  "SUCCEEDED",
  "FAILED",
  "CANCELLED",
  "PREEMPTED",
  "REJECTED",
];
export const LIVE: readonly JobState[] = STATES.slice(0, 4);
export const ENDED: readonly JobState[] = STATES.slice(4);

const TEXT_KEYS: Record<string, keyof JobFilter> = {
  set: "jobSet",
  jobset: "jobSet",
  owner: "owner",
  ns: "namespace",
  namespace: "namespace",
  class: "priorityClass",
  cluster: "cluster",
  node: "node",
  pool: "pool",
  failure: "failureCategory",
  reason: "reasonCode",
};
const QUANTITY_KEYS: Record<string, keyof JobFilter> = {
  cpu: "cpu",
  memory: "memory",
  mem: "memory",
  gpu: "gpu",
  disk: "ephemeralStorage",
};
const NUMBER_KEYS: Record<string, keyof JobFilter> = { priority: "priority", exit: "exitCode" };
const TIME_KEYS: Record<string, keyof JobFilter> = { submitted: "submitted", changed: "lastTransition" };

export const KEYS: readonly string[] = [
  "queue",
  "state",
  "set",
  "owner",
  "ns",
  "class",
  "cluster",
  "node",
  "pool",
  "cpu",
  "memory",
  "gpu",
  "disk",
  "priority",
  "exit",
  "failure",
  "reason",
  "submitted",
  "changed",
  "id",
  "ann.",
];

const UNITS: Record<string, number> = { s: 1e3, m: 60e3, min: 60e3, h: 3_600e3, d: 86_400e3, w: 7 * 86_400e3 };
const SIGNS: Record<string, "gt" | "gte" | "lt" | "lte" | "eq"> = { ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", ":": "eq", "=": "eq" };
const QUANTITY = /^[0-9.]+(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P|m)?$/;
const ID = /^[0-9a-hjkmnp-tv-z]{26}$/;

/** Words of a query; quotes keep spaces together. */
export function words(query: string): string[] {
  return query.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}

/** `now`: for times such as `<1h`. A word that is not understood is a problem and filters nothing. */
export function parseQuery(query: string, now: number): ParsedQuery {
  const filter: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const word of words(query)) {
    const message = takeWord(word, filter, now);
    if (message !== "") problems.push({ text: word, message });
  }
  return { filter: filter as JobFilter, problems };
}

function takeWord(word: string, filter: Record<string, unknown>, now: number): string {
  const match = /^([A-Za-z][A-Za-z]*|ann\.[^:=<>]+)(>=|<=|[:=<>])(.*)$/.exec(word);
  if (match === null) return takePlain(unquoted(word), filter);
  const [, rawKey = "", sign = ":", rawValue = ""] = match;
  const key = rawKey.startsWith("ann.") ? rawKey : rawKey.toLowerCase();
  const value = unquoted(rawValue);
  if (value === "") return "has no value yet";
  if (key.startsWith("ann.")) return takeAnnotation(key.slice(4), value, filter);
  if (key === "queue") return takeQueues(value, filter);
  if (key === "id") return takeIds(value, filter);
  if (key === "state") return takeStates(value, filter);
  const text = TEXT_KEYS[key];
  if (text !== undefined) return takeText(text, value, filter);
  const quantity = QUANTITY_KEYS[key];
  if (quantity !== undefined) return takeRange(quantity, sign, value, filter, QUANTITY, String, "a quantity such as 4, 500m or 16Gi");
  const number = NUMBER_KEYS[key];
  if (number !== undefined) return takeRange(number, sign, value, filter, /^-?\d+$/, Number, "a whole number");
  const time = TIME_KEYS[key];
  if (time !== undefined) return takeTime(time, sign, value, filter, now);
  return `there is no filter ${rawKey}; try ${KEYS.slice(0, 6).join(", ")}, …`;
}

function unquoted(text: string): string {
  return text.replace(/"/g, "");
}

/** A bare word is an id, or the beginning of a job set's name. */
function takePlain(word: string, filter: Record<string, unknown>): string {
  if (ID.test(word.toLowerCase())) return takeIds(word, filter);
  return takeText("jobSet", word.includes("*") ? word : `*${word}*`, filter);
}

function takeQueues(value: string, filter: Record<string, unknown>): string {
  filter["queues"] = [...((filter["queues"] as string[] | undefined) ?? []), ...value.split(",").filter(Boolean)];
  return "";
}

function takeIds(value: string, filter: Record<string, unknown>): string {
  const ids = value.toLowerCase().split(",").filter(Boolean);
  const wrong = ids.find((id) => !ID.test(id));
  if (wrong !== undefined) return `${wrong.slice(0, 30)} is not a job id (26 letters and digits)`;
  filter["ids"] = [...((filter["ids"] as string[] | undefined) ?? []), ...ids];
  return "";
}

function takeStates(value: string, filter: Record<string, unknown>): string {
  const states = new Set((filter["states"] as JobState[] | undefined) ?? []);
  for (const name of value.toUpperCase().split(",").filter(Boolean)) {
    const found =
      name === "LIVE" || name === "ACTIVE" ? LIVE : name === "ENDED" || name === "INACTIVE" ? ENDED : STATES.filter((state) => state === name);
    if (found.length === 0) return `there is no state ${name.toLowerCase()}`;
    for (const state of found) states.add(state);
  }
  filter["states"] = STATES.filter((state) => states.has(state));
  return "";
}

function takeText(field: keyof JobFilter, value: string, filter: Record<string, unknown>): string {
  if (value.startsWith("*") && value.length > 1) filter[field] = { contains: value.replace(/^\*|\*$/g, "") };
  else if (value.endsWith("*")) filter[field] = { startsWith: value.slice(0, -1) };
  else filter[field] = { in: value.split(",").filter(Boolean) };
  return "";
}

function takeRange(
  field: keyof JobFilter,
  sign: string,
  value: string,
  filter: Record<string, unknown>,
  shape: RegExp,
  made: (text: string) => string | number,
  what: string,
): string {
  // `exit:>0` means the same as `exit>0`.
  const inner = /^(>=|<=|>|<)(.+)$/.exec(value);
  const [operator, text] = inner === null ? [sign, value] : [inner[1] ?? ":", inner[2] ?? ""];
  const several = text.split(",");
  if (!several.every((each) => shape.test(each))) return `${text.slice(0, 30)} is not ${what}`;
  const before = (filter[field] as object | undefined) ?? {};
  const isList = several.length > 1 && made === Number;
  filter[field] = isList ? { ...before, in: several.map(made) } : { ...before, [SIGNS[operator] ?? "eq"]: made(several[0] ?? "") };
  return "";
}

function takeTime(field: keyof JobFilter, sign: string, value: string, filter: Record<string, unknown>, now: number): string {
  const match = /^(<|>)?(\d+(?:\.\d+)?)(s|min|m|h|d|w)$/.exec(sign === "<" || sign === ">" ? sign + value : value);
  const before = (filter[field] as object | undefined) ?? {};
  if (match !== null) {
    const at = new Date(now - Number(match[2]) * (UNITS[match[3] ?? "s"] ?? 1e3)).toISOString();
    // A younger job was submitted after that moment.
    filter[field] = match[1] === ">" ? { ...before, before: at } : { ...before, after: at };
    return "";
  }
  const parsed = Date.parse(value.length <= 10 ? `${value}T00:00:00Z` : value.endsWith("Z") ? value : `${value}Z`);
  if (Number.isNaN(parsed)) return "write an age such as <1h or >2d, or a date such as 2026-11-24";
  filter[field] = { ...before, [sign === "<" ? "before" : "after"]: new Date(parsed).toISOString() };
  return "";
}

function takeAnnotation(key: string, value: string, filter: Record<string, unknown>): string {
  const entry =
    value === "*" ? { key, exists: true } : value.endsWith("*") ? { key, value: { startsWith: value.slice(0, -1) } } : { key, value: { in: value.split(",") } };
  filter["annotations"] = [...((filter["annotations"] as unknown[] | undefined) ?? []), entry];
  return "";
}

function quoted(value: string): string {
  return /\s/.test(value) ? `"${value}"` : value;
}

/** The query with `key:` set to these values (none: taken away). */
export function withKey(query: string, key: string, values: readonly string[]): string {
  const others = words(query).filter((word) => !word.toLowerCase().startsWith(`${key}:`));
  const added = values.length > 0 ? [`${key}:${values.map(quoted).join(",")}`] : [];
  return [...others, ...added].join(" ");
}

/** The values of `key:` in a query. */
export function valuesOf(query: string, key: string): string[] {
  return words(query)
    .filter((word) => word.toLowerCase().startsWith(`${key}:`))
    .flatMap((word) => unquoted(word.slice(key.length + 1)).split(","))
    .filter(Boolean);
}

/** What could follow where the caret is: keys, states, names. `names`: values that are known, by key. */
export function completions(query: string, names: Record<string, readonly string[]>): string[] {
  const last = query.endsWith(" ") || query === "" ? "" : (words(query).at(-1) ?? "");
  const colon = last.indexOf(":");
  if (colon < 0) {
    return KEYS.filter((key) => key.startsWith(last.toLowerCase()) && key !== last).map((key) =>
      QUANTITY_KEYS[key] !== undefined || NUMBER_KEYS[key] !== undefined ? `${key}>` : key === "ann." ? key : `${key}:`,
    );
  }
  const key = last.slice(0, colon).toLowerCase();
  const typed = last.slice(colon + 1).split(",");
  const begun = (typed.at(-1) ?? "").toLowerCase();
  const chosen = typed.slice(0, -1).map((each) => each.toLowerCase());
  const head = last.slice(0, last.length - begun.length);
  const known =
    key === "state" ? ["live", "ended", ...STATES.map((state) => state.toLowerCase())] : TIME_KEYS[key] !== undefined ? ["<10m", "<1h", "<1d", "<7d"] : (names[key] ?? []);
  return known.filter((name) => name.toLowerCase().startsWith(begun) && name !== begun && !chosen.includes(name)).slice(0, 12).map((name) => head + name);
}

/** The query with its last word replaced by a completion. */
export function completed(query: string, completion: string): string {
  const found = words(query);
  const kept = query.endsWith(" ") || query === "" ? found : found.slice(0, -1);
  const isWhole = !/[:>.]$/.test(completion);
  return [...kept, completion].join(" ") + (isWhole ? " " : "");
}
