// Which address shows which page. Everything that a page shows is in its address; what an address says wrongly is left out.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import type { JobOrderField } from "../gql/graphql";
import { Empty } from "../parts/outcomes";
import { texts } from "../texts/en";
import { Shell } from "./shell";

type Raw = Record<string, unknown>;

function text(raw: Raw, name: string, max = 2_000): string | undefined {
  const value = raw[name];
  const found = typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
  return found === "" ? undefined : found.slice(0, max);
}

function oneOf<T extends string>(raw: Raw, name: string, known: readonly T[]): T | undefined {
  return known.find((each) => each === raw[name]);
}

export interface JobsSearch {
  q?: string | undefined;
  order?: Exclude<JobOrderField, "SUBMITTED"> | undefined;
  dir?: "ASC" | "DESC" | undefined;
  cols?: string | undefined;
  by?: string | undefined;
  job?: string | undefined;
}

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <div className="page">
      <Empty title={texts.common.notFound} hint={texts.common.notFoundHint} />
    </div>
  ),
});

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: (raw: Raw): { minutes?: "15" | "60" | "360" | undefined } => ({ minutes: oneOf(raw, "minutes", ["15", "60", "360"]) }),
  component: lazyRouteComponent(() => import("../pages/overview"), "Overview"),
});
const jobs = createRoute({
  getParentRoute: () => root,
  path: "/jobs",
  validateSearch: (raw: Raw): JobsSearch => ({
    q: text(raw, "q"),
    order: oneOf(raw, "order", ["LAST_TRANSITION", "QUEUE", "JOB_SET", "STATE", "PRIORITY", "RUN_TIME"]),
    dir: oneOf(raw, "dir", ["ASC"]),
    cols: text(raw, "cols", 1_000),
    by: text(raw, "by", 200),
    job: text(raw, "job", 26),
  }),
  component: lazyRouteComponent(() => import("../pages/jobs"), "Jobs"),
});
const job = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$jobId",
  component: lazyRouteComponent(() => import("../pages/job"), "JobPage"),
});
const jobSets = createRoute({
  getParentRoute: () => root,
  path: "/sets",
  validateSearch: (raw: Raw): { queue?: string | undefined; name?: string | undefined; ended?: "yes" | undefined } => ({
    queue: text(raw, "queue", 253),
    name: text(raw, "name", 300),
    ended: oneOf(raw, "ended", ["yes"]),
  }),
  component: lazyRouteComponent(() => import("../pages/jobSets"), "JobSets"),
});
const jobSet = createRoute({
  getParentRoute: () => root,
  path: "/queues/$queue/sets/$jobSet",
  component: lazyRouteComponent(() => import("../pages/jobSet"), "JobSetPage"),
});
const queues = createRoute({
  getParentRoute: () => root,
  path: "/queues",
  validateSearch: (raw: Raw): { find?: string | undefined } => ({ find: text(raw, "find", 253) }),
  component: lazyRouteComponent(() => import("../pages/queues"), "Queues"),
});
const queue = createRoute({
  getParentRoute: () => root,
  path: "/queues/$queue",
  validateSearch: (raw: Raw): { minutes?: "15" | "60" | "360" | undefined } => ({ minutes: oneOf(raw, "minutes", ["15", "60", "360"]) }),
  component: lazyRouteComponent(() => import("../pages/queue"), "QueuePage"),
});
const nodes = createRoute({
  getParentRoute: () => root,
  path: "/nodes",
  validateSearch: (raw: Raw): { by?: "memory" | "gpu" | "jobs" | undefined; pool?: string | undefined } => ({
    by: oneOf(raw, "by", ["memory", "gpu", "jobs"]),
    pool: text(raw, "pool", 253),
  }),
  component: lazyRouteComponent(() => import("../pages/nodes"), "Nodes"),
});
const node = createRoute({
  getParentRoute: () => root,
  path: "/clusters/$cluster/nodes/$node",
  component: lazyRouteComponent(() => import("../pages/node"), "NodePage"),
});
const rounds = createRoute({
  getParentRoute: () => root,
  path: "/rounds",
  validateSearch: (raw: Raw): { pool?: string | undefined; busy?: "yes" | undefined } => ({ pool: text(raw, "pool", 253), busy: oneOf(raw, "busy", ["yes"]) }),
  component: lazyRouteComponent(() => import("../pages/rounds"), "Rounds"),
});
const round = createRoute({
  getParentRoute: () => root,
  path: "/rounds/$roundId",
  component: lazyRouteComponent(() => import("../pages/round"), "RoundPage"),
});
const health = createRoute({
  getParentRoute: () => root,
  path: "/health",
  component: lazyRouteComponent(() => import("../pages/health"), "HealthPage"),
});

const explorer = createRoute({
  getParentRoute: () => root,
  path: "/explorer",
  component: lazyRouteComponent(() => import("../pages/explorer"), "Explorer"),
});

/** Search values stand in the address as they are: `?q=state:running`, not as JSON. */
function parseSearch(search: string): Raw {
  return Object.fromEntries(new URLSearchParams(search));
}

function stringifySearch(search: Raw): string {
  const given = Object.entries(search).filter((entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "");
  const written = new URLSearchParams(given).toString();
  return written === "" ? "" : `?${written}`;
}

export const router = createRouter({
  routeTree: root.addChildren([overview, jobs, job, jobSets, jobSet, queues, queue, nodes, node, rounds, round, health, explorer]),
  defaultPreload: "intent",
  parseSearch,
  stringifySearch,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
