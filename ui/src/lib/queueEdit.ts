// A queue's settings as a form holds them, and what of them is sent: only what was changed. Pure.
import type { QueueInput } from "../gql/graphql";

export interface Cap {
  priorityClass: string;
  resource: string;
  /** of the pool, 0 to 100 */
  percent: number | string;
}

export interface QueueDraft {
  name: string;
  priorityFactor: number | string;
  owners: readonly string[];
  groupOwners: readonly string[];
  caps: readonly Cap[];
  /** KEY=VALUE, one a line */
  labels: string;
}

export const EMPTY: QueueDraft = { name: "", priorityFactor: 1, owners: [], groupOwners: [], caps: [], labels: "" };

interface QueueLike {
  name: string;
  priorityFactor: number;
  owners: readonly string[];
  groupOwners: readonly string[];
  labels: unknown;
  resourceLimitsByPriorityClass: unknown;
}

function entries(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

/** The caps of a queue, class by class: fractions become percent. */
export function capsOf(limits: unknown): Cap[] {
  return entries(limits).flatMap(([priorityClass, fractions]) =>
    entries(fractions).map(([resource, fraction]) => ({ priorityClass, resource, percent: Number((Number(fraction) * 100).toFixed(4)) })),
  );
}

export function draftOf(queue: QueueLike): QueueDraft {
  return {
    name: queue.name,
    priorityFactor: queue.priorityFactor,
    owners: queue.owners,
    groupOwners: queue.groupOwners,
    caps: capsOf(queue.resourceLimitsByPriorityClass),
    labels: entries(queue.labels).map(([key, value]) => `${key}=${String(value)}`).join("\n"),
  };
}

/** undefined: a line is not KEY=VALUE. */
export function labelsOf(text: string): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  for (const line of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1 || at === line.length - 1) return undefined;
    found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}

/** undefined: a row lacks its class, its resource or a percentage from 0 to 100. */
export function limitsOf(caps: readonly Cap[]): Record<string, Record<string, number>> | undefined {
  const found: Record<string, Record<string, number>> = {};
  for (const cap of caps) {
    const fraction = Number((Number(cap.percent) / 100).toFixed(6));
    const isWhole = cap.priorityClass.trim() !== "" && cap.resource.trim() !== "" && cap.percent !== "" && fraction >= 0 && fraction <= 1;
    if (!isWhole) return undefined;
    (found[cap.priorityClass.trim()] ??= {})[cap.resource.trim()] = fraction;
  }
  return found;
}

export type FieldName = "name" | "priorityFactor" | "labels" | "resourceLimitsByPriorityClass";

/** Fields whose contents cannot be sent. */
export function wrongFields(draft: QueueDraft): FieldName[] {
  const factor = Number(draft.priorityFactor);
  const found: FieldName[] = [];
  if (draft.name.trim() === "") found.push("name");
  if (draft.priorityFactor === "" || !Number.isFinite(factor) || factor < 1) found.push("priorityFactor");
  if (labelsOf(draft.labels) === undefined) found.push("labels");
  if (limitsOf(draft.caps) === undefined) found.push("resourceLimitsByPriorityClass");
  return found;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** For updateQueues: null keeps what the queue has, an absent field would get its default. */
export function changeOf(before: QueueDraft, after: QueueDraft): QueueInput {
  const changed = <T>(name: keyof QueueDraft, value: T): T | null => (isSame(before[name], after[name]) ? null : value);
  return {
    name: before.name,
    priorityFactor: changed("priorityFactor", Number(after.priorityFactor)),
    cordoned: null,
    owners: changed("owners", [...after.owners]),
    groupOwners: changed("groupOwners", [...after.groupOwners]),
    permissions: null,
    resourceLimitsByPriorityClass: changed("caps", limitsOf(after.caps) ?? {}),
    labels: changed("labels", labelsOf(after.labels) ?? {}),
    retryPolicies: null,
  };
}

/** For createQueues. */
export function inputOf(draft: QueueDraft): QueueInput {
  return {
    name: draft.name.trim(),
    priorityFactor: Number(draft.priorityFactor),
    owners: [...draft.owners],
    groupOwners: [...draft.groupOwners],
    resourceLimitsByPriorityClass: limitsOf(draft.caps) ?? {},
    labels: labelsOf(draft.labels) ?? {},
  };
}

/** `queues[0].priorityFactor` -> `priorityFactor`; "" for an error of the whole queue. */
export function fieldOf(path: string): string {
  return /^(?:queues|names)\[\d+\]\.?([A-Za-z]*)/.exec(path)?.[1] ?? "";
}
