// What the caller may do to which queue, and why not. The server decides again when it is asked to act.
import { graphql } from "../gql";
import { usePolled } from "./polled";

const ALLOWED = graphql(`
  query AllowedVerbs { viewer { user verbs } queues(first: 200) { nodes { name refusedVerbs { verb reason } } } }
`);
const EVERY_MS = 60_000;

export type QueueVerb = "cancel" | "preempt" | "reprioritize" | "update" | "cordon" | "delete" | "submit" | "watch";

export interface Allowed {
  user: string;
  /** global verbs of the caller */
  verbs: readonly string[];
  /** why none of these queues allows it; "" when one does, or when that is not known */
  why: (verb: QueueVerb, queues: readonly string[]) => string;
}

type Refusals = ReadonlyMap<string, readonly { verb: string; reason: string }[]>;

/** Pure: `queues` empty means any queue. */
export function whyNot(refusals: Refusals, verb: QueueVerb, queues: readonly string[]): string {
  const asked = queues.length === 0 ? [...refusals.keys()] : queues;
  const reasons = asked.map((queue) => refusals.get(queue)?.find((each) => each.verb === verb)?.reason ?? "");
  return reasons.length > 0 && reasons.every((reason) => reason !== "") ? (reasons[0] ?? "") : "";
}

export function useAllowed(): Allowed {
  const { data } = usePolled(ALLOWED, {}, EVERY_MS);
  const refusals: Refusals = new Map(data?.queues.nodes.map((queue) => [queue.name, queue.refusedVerbs]));
  return { user: data?.viewer.user ?? "", verbs: data?.viewer.verbs ?? [], why: (verb, queues) => whyNot(refusals, verb, queues) };
}
