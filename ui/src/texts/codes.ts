// The system's own codes in words: states, reasons, exit codes, how a job came to its node.
import type { JobState } from "../gql/graphql";

export const codeTexts = {
  states: {
    QUEUED: "Queued",
    LEASED: "Leased",
    PENDING: "Pending",
    RUNNING: "Running",
    SUCCEEDED: "Succeeded",
    FAILED: "Failed",
    CANCELLED: "Cancelled",
    PREEMPTED: "Preempted",
    REJECTED: "Rejected",
  } satisfies Record<JobState, string>,
  stateHelp: {
    QUEUED: "waits for a node",
    LEASED: "has a node; its cluster has not reported it yet",
    PENDING: "its pod exists and is not running yet",
    RUNNING: "its containers run",
    SUCCEEDED: "ended well",
    FAILED: "ended with an error",
    CANCELLED: "was cancelled",
    PREEMPTED: "made room for another job",
    REJECTED: "fits on no node",
  } satisfies Record<JobState, string>,
  // What holds a job back, in the scheduler's own codes.
  reasons: {
    noNodeFits: "no node fits now",
    floatingResources: "the pool lacks a floating resource",
    queueCordoned: "its queue is cordoned",
    queueResourceLimit: "its queue would exceed its limit",
    queueRateLimit: "its queue's rate limit",
    rateLimit: "the pool's rate limit",
    roundResourceLimit: "the limit of new work a round",
    lookback: "too many jobs of its queue before it",
    decisionBudget: "the round ended before its turn",
    gangIncomplete: "not all members of its gang are here",
    burstTooSmall: "it is more than a rate limit ever lets through",
    outranked: "its room was given to a job that ranks above it",
  } as Record<string, string>,
  exitCodes: {
    0: "ended well",
    126: "the command cannot be executed",
    127: "the command was not found in the image",
  } as Record<number, string>,
  // An exit code above 128 is a signal's number and 128.
  signals: {
    1: "hung up (SIGHUP)",
    2: "interrupted (SIGINT)",
    6: "aborted itself (SIGABRT)",
    9: "killed (SIGKILL): out of memory, or over its grace period",
    11: "touched memory that is not its own (SIGSEGV)",
    13: "wrote where nobody reads (SIGPIPE)",
    15: "told to stop (SIGTERM)",
  } as Record<number, string>,
  // How a job came to its node, and why a run had to leave it.
  methods: {
    free: "free room",
    fairSharePreemption: "room of a queue over its share",
    urgencyPreemption: "room of a lower class",
    away: "free room away from home",
    awayFairSharePreemption: "away, room of a queue over its share",
    awayUrgencyPreemption: "away, room of a lower class",
    fairShare: "its queue held more than its share",
    urgency: "a higher class needed the room",
    gang: "its gang lost a member",
    overcommitted: "the node holds more than it has",
  } as Record<string, string>,
  roundKinds: {
    full: "shares are balanced: runs may be preempted",
    cheap: "between full rounds: only free room is given away",
  } as Record<string, string>,
  containers: {
    name: "Container",
    init: "before the others",
    started: "Started",
    states: { WAITING: "Waiting", RUNNING: "Runs", TERMINATED: "Ended", waiting: "Waiting", running: "Runs", terminated: "Ended" } as Record<string, string>,
  },
};
