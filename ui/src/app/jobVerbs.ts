// What one may do to jobs: to some by their ids, to all of a filter (the server expands it), or to a job set.
// First a preview (how many, who is left out and why), then the doing, in portions that can be stopped between.
import { graphql } from "../gql";
import type { ErrorCode, JobFilter, JobState, JobVerb } from "../gql/graphql";
import { client, troubleOf } from "./client";

export type { JobVerb } from "../gql/graphql";

const PREVIEW = graphql(`
  query MatchingJobs($verb: JobVerb!, $filter: JobFilter!) {
    matchingJobs(verb: $verb, filter: $filter) { count complete touched stateCounts { state count } refused { code message count queue } }
  }
`);
const CANCEL = graphql(`
  mutation CancelMatching($filter: JobFilter!, $reason: String, $first: Int!, $after: Cursor) {
    done: cancelMatchingJobs(filter: $filter, reason: $reason, first: $first, after: $after) {
      position matched affectedCount notAffected { id code message } errors { code path message } after more
    }
  }
`);
const REPRIORITIZE = graphql(`
  mutation ReprioritizeMatching($filter: JobFilter!, $priority: Float!, $reason: String, $first: Int!, $after: Cursor) {
    done: reprioritizeMatchingJobs(filter: $filter, priority: $priority, reason: $reason, first: $first, after: $after) {
      position matched affectedCount notAffected { id code message } errors { code path message } after more
    }
  }
`);
const PREEMPT = graphql(`
  mutation PreemptMatching($filter: JobFilter!, $reason: String, $first: Int!, $after: Cursor) {
    done: preemptMatchingJobs(filter: $filter, reason: $reason, first: $first, after: $after) {
      position matched affectedCount notAffected { id code message } errors { code path message } after more
    }
  }
`);
const CANCEL_SET = graphql(`
  mutation CancelSet($queue: String!, $jobSet: String!, $reason: String) {
    done: cancelJobSet(queue: $queue, jobSet: $jobSet, reason: $reason) { position affectedCount notAffected { id code message } errors { code path message } }
  }
`);
const REPRIORITIZE_SET = graphql(`
  mutation ReprioritizeSet($queue: String!, $jobSet: String!, $priority: Float!, $reason: String) {
    done: reprioritizeJobs(queue: $queue, jobSet: $jobSet, priority: $priority, reason: $reason) { position affectedCount notAffected { id code message } errors { code path message } }
  }
`);
const SEEN = graphql(`
  query JobsSeen($position: Position!) { jobs(first: 1, atLeast: $position) { pageInfo { hasNextPage } } }
`);

export type Target =
  | { kind: "ids"; ids: readonly string[] }
  | { kind: "filter"; filter: JobFilter; query: string }
  | { kind: "set"; queue: string; jobSet: string };

export interface Refusal {
  code: ErrorCode;
  message: string;
  count: number;
}

export interface Preview {
  /** jobs that were named or match; `complete` false: at least so many */
  count: number;
  complete: boolean;
  /** of those, what the verb would change */
  touched: number;
  stateCounts: { state: JobState; count: number }[];
  refused: Refusal[];
}

export interface Outcome {
  done: number;
  refused: { id: string; message: string }[];
  /** what ended it early; "" when it came to its end */
  trouble: string;
  stopped: boolean;
}

const IDS_AT_ONCE = 500;
const MATCHES_AT_ONCE = 500;
const REFUSED_MAX = 2_000;

/** The filters that stand for a target; ids are cut into portions. Pure. */
export function filtersOf(target: Target): JobFilter[] {
  if (target.kind === "filter") return [target.filter];
  if (target.kind === "set") return [{ queues: [target.queue], jobSet: { eq: target.jobSet } }];
  const portions: JobFilter[] = [];
  for (let at = 0; at < target.ids.length; at += IDS_AT_ONCE) portions.push({ ids: target.ids.slice(at, at + IDS_AT_ONCE) });
  return portions;
}

/** Previews of portions as one. Pure. */
export function summed(previews: readonly Preview[]): Preview {
  const all: Preview = { count: 0, complete: true, touched: 0, stateCounts: [], refused: [] };
  for (const each of previews) {
    all.count += each.count;
    all.touched += each.touched;
    all.complete &&= each.complete;
    for (const { state, count } of each.stateCounts) {
      const known = all.stateCounts.find((found) => found.state === state);
      if (known === undefined) all.stateCounts.push({ state, count });
      else known.count += count;
    }
    for (const { code, message, count } of each.refused) {
      const known = all.refused.find((found) => found.message === message);
      if (known === undefined) all.refused.push({ code, message, count });
      else known.count += count;
    }
  }
  return all;
}

/** Throws Error with words for people. */
export async function preview(verb: JobVerb, target: Target): Promise<Preview> {
  const found: Preview[] = [];
  for (const filter of filtersOf(target)) {
    const { data, error } = await client.query(PREVIEW, { verb, filter }, { requestPolicy: "network-only" }).toPromise();
    if (error !== undefined || data === undefined) throw new Error(error === undefined ? "" : troubleOf(error).message || troubleOf(error).code);
    found.push(data.matchingJobs);
  }
  return summed(found);
}

interface Answer {
  position: string;
  matched?: number;
  affectedCount: number;
  notAffected: readonly { id: string; message: string }[];
  errors: readonly { code: string; message: string }[];
  after?: string | null;
  more?: boolean;
}

export interface Wish {
  verb: JobVerb;
  target: Target;
  reason: string;
  priority: number;
}

async function portion(wish: Wish, filter: JobFilter, after: string | null): Promise<Answer> {
  const { verb, target, priority } = wish;
  const reason = wish.reason.trim() || null;
  const page = { filter, reason, first: MATCHES_AT_ONCE, after };
  const asked =
    target.kind === "set" && verb === "CANCEL"
      ? client.mutation(CANCEL_SET, { queue: target.queue, jobSet: target.jobSet, reason })
      : target.kind === "set" && verb === "REPRIORITIZE"
        ? client.mutation(REPRIORITIZE_SET, { queue: target.queue, jobSet: target.jobSet, priority, reason })
        : verb === "CANCEL"
          ? client.mutation(CANCEL, page)
          : verb === "PREEMPT"
            ? client.mutation(PREEMPT, page)
            : client.mutation(REPRIORITIZE, { ...page, priority });
  const { data, error } = await asked.toPromise();
  if (error !== undefined || data === undefined) throw new Error(error === undefined ? "" : troubleOf(error).message || troubleOf(error).code);
  return data.done;
}

/** Never throws: what went wrong stands in the outcome. `progress`: jobs that were asked for so far; it may say stop. */
export async function carryOut(wish: Wish, progress: (asked: number) => boolean): Promise<Outcome> {
  const outcome: Outcome = { done: 0, refused: [], trouble: "", stopped: false };
  let asked = 0;
  let position = "";
  try {
    for (const filter of filtersOf(wish.target)) {
      let after: string | null = null;
      for (;;) {
        const answer: Answer = await portion(wish, filter, after);
        position = answer.position || position;
        outcome.done += answer.affectedCount;
        outcome.refused.push(...answer.notAffected.slice(0, REFUSED_MAX - outcome.refused.length));
        asked += answer.matched ?? answer.affectedCount + answer.notAffected.length;
        outcome.stopped = !progress(asked);
        outcome.trouble = answer.errors[0]?.message ?? "";
        after = answer.after ?? null;
        if (outcome.trouble !== "" || outcome.stopped || answer.more !== true || after === null) break;
      }
      if (outcome.trouble !== "" || outcome.stopped) break;
    }
  } catch (problem) {
    outcome.trouble = problem instanceof Error && problem.message !== "" ? problem.message : String(problem);
  }
  // The lists behind the dialog show what was done when it is closed.
  if (position !== "") await client.query(SEEN, { position }, { requestPolicy: "network-only" }).toPromise();
  return outcome;
}
