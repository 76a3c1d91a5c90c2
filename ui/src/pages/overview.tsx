// What one sees first: is it well, is it busy, who has what, what goes wrong.
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { Link, getRouteApi } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { useNow } from "../app/clock";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { OverviewQuery } from "../gql/graphql";
import { age, ago, duration, ms, percent, percentFixed, rate, short, whole } from "../lib/format";
import { LIVE } from "../lib/jobQuery";
import { colourOf, shareGrid } from "../lib/series";
import { Bullet, BulletLegend, bulletScale } from "../parts/bullet";
import { Chart } from "../parts/chart";
import { ExitCode } from "../parts/exitCode";
import { Answer, Empty, Loading, Nothing } from "../parts/outcomes";
import { Freshness, JobLink, JobSetLink, QueueLink, record, whatWentWrong } from "../parts/pieces";
import { type Range, RangePicker } from "../parts/range";
import { countOf, State, StateIcon } from "../parts/states";
import { Time } from "../parts/times";
import { texts } from "../texts/en";

const OVERVIEW = graphql(`
  query Overview($minutes: Int!) {
    health { now reading views { name behind written topic } }
    clusters { name lastHeard nodeCount }
    pools { name nodes clusters }
    queueShares { pool queue weight fairShare adjustedShare demandShare actualShare }
    queues(first: 200) { nodes { name cordoned weight stateCounts { state count } } }
    throughput(minutes: $minutes) { bucketSeconds points { time submitted started succeeded failed cancelled preempted queued running } }
    failures: jobs(filter: { states: [FAILED, REJECTED, PREEMPTED] }, order: { field: LAST_TRANSITION }, first: 8) {
      nodes { id queue jobSet state lastTransition exitCode reasonCode reason errors { message } }
    }
  }
`);
const POOL = graphql(`
  query PoolOverview($pool: String!, $minutes: Int!) {
    shareHistory(pool: $pool, minutes: $minutes) { time queue fairShare adjustedShare demandShare actualShare }
    rounds(pool: $pool, first: 1) { nodes { id started placed preempted blocked timings } }
  }
`);
const EVERY_MS = 3_000;
const QUIET_MS = 30_000;
const BEHIND_MAX = 500;
const POOLS_MAX = 4;
const route = getRouteApi("/");

export function Overview(): ReactElement {
  useTitle(texts.overview.title);
  const { minutes = "15" } = route.useSearch();
  const navigate = route.useNavigate();
  const polled = usePolled(OVERVIEW, { minutes: Number(minutes) }, EVERY_MS);
  return (
    <div className="page">
      <div className="head">
        <h1>{texts.overview.title}</h1>
        {polled.data ? <HealthLine data={polled.data} /> : null}
        <span className="spacer" />
        <Freshness at={polled.at} limitMs={10_000} />
        <RangePicker value={minutes as Range} onChange={(next) => void navigate({ search: { minutes: next === "15" ? undefined : next } })} />
      </div>
      <Answer of={polled} rows={10}>{(data) => <Body data={data} minutes={Number(minutes)} />}</Answer>
    </div>
  );
}

function HealthLine({ data }: { data: OverviewQuery }): ReactElement {
  const now = useNow();
  const worst = data.health.views.filter((view) => (view.behind ?? 0) > BEHIND_MAX).sort((a, b) => (b.behind ?? 0) - (a.behind ?? 0))[0];
  const quiet = data.clusters.find((cluster) => now - ms(cluster.lastHeard) > QUIET_MS);
  const trouble =
    worst !== undefined
      ? texts.overview.behind(worst.name, whole(worst.behind ?? 0))
      : quiet !== undefined
        ? texts.overview.quiet(quiet.name, ago(now - ms(quiet.lastHeard)))
        : data.health.reading
          ? ""
          : texts.health.apiNotReading;
  return (
    <Link to="/health" className="state" style={{ color: trouble === "" ? "var(--SUCCEEDED)" : "var(--warn)", fontWeight: 500 }}>
      {trouble === "" ? <IconCircleCheck size={15} aria-hidden /> : <IconAlertTriangle size={15} aria-hidden />}
      {trouble === "" ? `${texts.overview.healthy} · ${texts.overview.allClusters(data.clusters.length)}` : trouble}
    </Link>
  );
}

function Body({ data, minutes }: { data: OverviewQuery; minutes: number }): ReactElement {
  const all = data.queues.nodes.flatMap((queue) => queue.stateCounts);
  const { points, bucketSeconds } = data.throughput;
  if (all.every((each) => each.count === 0)) return <Empty title={texts.overview.nothing} hint={texts.overview.nothingHint} />;
  const times = points.map((point) => ms(point.time));
  const perSecond = (value: number): number => value / bucketSeconds;
  // The bucket that is being filled would look like a fall.
  const whole_ = points.slice(0, -1);
  const recent = whole_.at(-1);
  return (
    <>
      <div className="tiles">
        {LIVE.map((state) => (
          <Link key={state} to="/jobs" search={{ q: `state:${state.toLowerCase()}` }} className="tile">
            <span className="k"><StateIcon state={state} size={13} />{texts.states[state]}</span>
            <div className="v">{short(countOf(all, [state]))}</div>
          </Link>
        ))}
        {(["submitted", "started", "ended"] as const).map((kind) => (
          <div key={kind} className="tile"><span className="k">{texts.overview.flowSeries[kind]}</span><div className="v">{recent ? rate(perSecond(kind === "ended" ? ended(recent) : recent[kind])) : texts.common.none} <small className="muted">{texts.overview.perSecond}</small></div></div>
        ))}
        <Link to="/jobs" search={{ q: `state:failed changed:<${minutes}m`, order: "LAST_TRANSITION" }} className="tile" title={texts.overview.failedHelp}>
          <span className="k"><StateIcon state="FAILED" size={13} />{texts.overview.failedIn(texts.overview.range(minutes))}</span>
          <div className="v">{short(points.reduce((sum, p) => sum + p.failed, 0))}</div>
        </Link>
      </div>
      <div className="grid2">
        {data.pools.slice(0, POOLS_MAX).map((pool) => <PoolCard key={pool.name} pool={pool} minutes={minutes} />)}
        <SharesCard data={data} />
      </div>
      <div className="grid2">
        <section className="card">
          <h2>{texts.overview.flow}</h2>
          <Chart
            label={texts.overview.flow}
            times={times.slice(0, -1)}
            unit={rate}
            series={[
              { name: texts.overview.flowSeries.submitted, colour: "var(--QUEUED)", values: whole_.map((p) => perSecond(p.submitted)), dashed: true },
              { name: texts.overview.flowSeries.started, colour: "var(--RUNNING)", values: whole_.map((p) => perSecond(p.started)) },
              { name: texts.overview.flowSeries.ended, colour: "var(--SUCCEEDED)", values: whole_.map((p) => perSecond(ended(p))) },
              { name: texts.overview.flowSeries.failed, colour: "var(--FAILED)", values: whole_.map((p) => perSecond(p.failed)) },
            ]}
          />
        </section>
        <section className="card">
          <h2>{texts.overview.depth}</h2>
          <Chart
            label={texts.overview.depth}
            times={times}
            unit={short}
            series={[
              { name: texts.states.QUEUED, colour: "var(--QUEUED)", values: points.map((p) => p.queued) },
              { name: texts.states.RUNNING, colour: "var(--RUNNING)", values: points.map((p) => p.running) },
            ]}
          />
        </section>
      </div>
      <Failures jobs={data.failures.nodes} />
    </>
  );
}

function ended(point: { succeeded: number; failed: number; cancelled: number; preempted: number }): number {
  return point.succeeded + point.failed + point.cancelled + point.preempted;
}

function PoolCard({ pool, minutes }: { pool: OverviewQuery["pools"][number]; minutes: number }): ReactElement {
  const polled = usePolled(POOL, { pool: pool.name, minutes }, EVERY_MS);
  const round = polled.data?.rounds.nodes[0];
  const stepMs = minutes <= 60 ? 10_000 : 60_000;
  const end = polled.at;
  const grid = shareGrid(polled.data?.shareHistory ?? [], end - minutes * 60_000, end, stepMs);
  const queues = [...grid.queues.keys()].sort();
  const used = queues.reduce((sum, queue) => sum + (grid.queues.get(queue)?.at(-1)?.actualShare ?? 0), 0);
  return (
    <section className="card">
      <h2>
        <span>{pool.name} <small className="muted">{whole(pool.nodes)} nodes, {pool.clusters} {pool.clusters === 1 ? "cluster" : "clusters"}</small></span>
        <span className="muted" title={texts.overview.utilisationHelp}>{percent(Math.min(1, used))}</span>
      </h2>
      {polled.data === undefined ? <Loading rows={5} /> : (
        <>
          <Chart
            label={`${texts.overview.utilisation}: ${pool.name}`}
            times={grid.times}
            unit={percent}
            stacked
            top={1}
            series={queues.map((queue, index) => ({ name: queue, colour: colourOf(index), values: (grid.queues.get(queue) ?? []).map((point) => point?.actualShare ?? null) }))}
          />
          {round === undefined ? null : (
            <div className="muted prose" style={{ marginTop: 4 }}>
              {texts.overview.lastRound} <Link to="/rounds/$roundId" params={{ roundId: round.id }}><Time at={round.started} /></Link>: {duration(totalUs(round.timings) / 1_000)}, {whole(round.placed)} placed, {whole(round.preempted)} preempted, {whole(round.blocked)} blocked
            </div>
          )}
        </>
      )}
    </section>
  );
}

export function totalUs(timings: unknown): number {
  const values = record(timings);
  const total = values["total"];
  return typeof total === "number" ? total : Object.values(values).reduce<number>((sum, value) => sum + (typeof value === "number" ? value : 0), 0);
}

function SharesCard({ data }: { data: OverviewQuery }): ReactElement {
  const scale = bulletScale(data.queueShares);
  const shares = [...data.queueShares].sort((a, b) => b.actualShare - a.actualShare || a.queue.localeCompare(b.queue)).slice(0, 12);
  const names = new Map(data.queues.nodes.map((queue) => [queue.name, queue]));
  return (
    <section className="card">
      <h2><span>{texts.overview.sharesTitle}</span><Link to="/queues" style={{ fontWeight: 400, fontSize: 12 }}>{texts.common.all}</Link></h2>
      <div className="scroll-x">
        <table className="table">
          <thead><tr><th>{texts.queues.name}</th><th className="num">{texts.queues.queued}</th><th className="num">{texts.queues.running}</th><th style={{ width: "45%" }}>{texts.queues.shares}</th><th className="num">{texts.queues.holds}</th></tr></thead>
          <tbody>
            {shares.map((share) => {
              const counts = names.get(share.queue)?.stateCounts ?? [];
              return (
                <tr key={`${share.pool} ${share.queue}`}>
                  <td><QueueLink name={share.queue} /></td>
                  <td className="num">{short(countOf(counts, ["QUEUED"]))}</td>
                  <td className="num">{short(countOf(counts, ["LEASED", "PENDING", "RUNNING"]))}</td>
                  <td><Bullet shares={share} scale={scale} /></td>
                  <td className="num">{percentFixed(share.actualShare)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <BulletLegend />
    </section>
  );
}

function Failures({ jobs }: { jobs: OverviewQuery["failures"]["nodes"] }): ReactElement {
  const now = useNow();
  return (
    <section className="card">
      <h2><span>{texts.overview.failures}</span><Link to="/jobs" search={{ q: "state:failed,rejected,preempted", order: "LAST_TRANSITION" }} style={{ fontWeight: 400, fontSize: 12 }}>{texts.common.all}</Link></h2>
      {jobs.length === 0 ? <Nothing text={texts.overview.noFailures} /> : (
        <div className="scroll-x">
          <table className="table">
            <thead><tr><th>{texts.columns["lastTransition"]}</th><th>{texts.columns["state"]}</th><th>{texts.columns["queue"]}</th><th>{texts.columns["jobSet"]}</th><th>{texts.columns["id"]}</th><th className="num">{texts.columns["exitCode"]}</th><th>{texts.columns["reason"]}</th></tr></thead>
            <tbody>
              {jobs.map((job) => (
                <tr key={job.id}>
                  <td className="nowrap" title={job.lastTransition}>{age(now - ms(job.lastTransition))}</td>
                  <td><State state={job.state} /></td>
                  <td><QueueLink name={job.queue} /></td>
                  <td><JobSetLink queue={job.queue} name={job.jobSet} /></td>
                  <td><JobLink id={job.id} short /></td>
                  <td className="num"><ExitCode code={job.exitCode} /></td>
                  <td style={{ maxWidth: 420 }} className="cut" title={whatWentWrong(job).slice(0, 500)}>{whatWentWrong(job).slice(0, 200)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
