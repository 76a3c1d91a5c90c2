// A queue over time: depth, flow, waiting, shares; its job sets and settings.
import { getRouteApi, Link } from "@tanstack/react-router";
import { IconLock, IconPencil } from "@tabler/icons-react";
import { type ReactElement, useState } from "react";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { QueuePageQuery } from "../gql/graphql";
import { duration, ms, percent, rate, short, whole } from "../lib/format";
import { LIVE, STATES } from "../lib/jobQuery";
import { shareGrid } from "../lib/series";
import { capsOf, draftOf } from "../lib/queueEdit";
import { Bullet, bulletScale } from "../parts/bullet";
import { Chart } from "../parts/chart";
import { CordonButton } from "../parts/cordonButton";
import { ActionMenu, filterTarget } from "../parts/jobActions";
import { Answer, Empty, Nothing } from "../parts/outcomes";
import { Chips, Freshness, JobSetLink, Pairs, record } from "../parts/pieces";
import { QueueForm } from "../parts/queueForm";
import { type Range, RangePicker } from "../parts/range";
import { countOf, StateBar, StateIcon } from "../parts/states";
import { Time } from "../parts/times";
import { VerbButton } from "../parts/verbButton";
import { texts } from "../texts/en";

const QUEUE = graphql(`
  query QueuePage($name: String!, $minutes: Int!) {
    queue(name: $name) {
      name priorityFactor weight cordoned owners groupOwners labels resourceLimitsByPriorityClass created permissions { subjects { kind name } verbs }
      stateCounts { state count } refusedVerbs { verb reason }
    }
    queueShares(queue: $name) { pool queue weight fairShare adjustedShare demandShare actualShare }
    throughput(queue: $name, minutes: $minutes) { bucketSeconds points { time submitted leased started succeeded failed cancelled preempted queued running } }
    waitTimes(queue: $name, minutes: $minutes) { time jobs p50Ms p90Ms p99Ms }
    jobGroups(filter: { queues: [$name] }, by: ["jobSet"], first: 8) { nodes { keys { value } count stateCounts { state count } lastTransitionLatest } }
  }
`);
const SHARES = graphql(`
  query QueueShareHistory($pool: String!, $queue: String!, $minutes: Int!) {
    shareHistory(pool: $pool, queue: $queue, minutes: $minutes) { time queue fairShare adjustedShare demandShare actualShare }
  }
`);
const EVERY_MS = 4_000;
const route = getRouteApi("/queues/$queue");

export function QueuePage(): ReactElement {
  const { queue } = route.useParams();
  const { minutes = "15" } = route.useSearch();
  const navigate = route.useNavigate();
  useTitle(queue);
  const polled = usePolled(QUEUE, { name: queue, minutes: Number(minutes) }, EVERY_MS);
  return (
    <div className="page">
      <div className="head">
        <div className="crumbs"><Link to="/queues">{texts.queues.title}</Link><span aria-hidden>/</span><h1>{queue}</h1></div>
        {polled.data?.queue?.cordoned ? <span className="chip" title={texts.queues.cordonedHelp}><IconLock size={12} aria-hidden />{texts.queues.cordoned}</span> : null}
        <span className="spacer" />
        <Freshness at={polled.at} limitMs={10_000} />
        {polled.data?.queue ? <Settings queue={polled.data.queue} again={polled.again} /> : null}
        <RangePicker value={minutes as Range} onChange={(next) => void navigate({ search: { minutes: next === "15" ? undefined : next } })} />
      </div>
      <Answer of={polled} rows={10}>
        {(data) => data.queue ? <Body data={data} queue={data.queue} minutes={Number(minutes)} /> : <Empty title={texts.queue.gone} hint={texts.queue.goneHint} />}
      </Answer>
    </div>
  );
}

function Body({ data, queue, minutes }: { data: QueuePageQuery; queue: NonNullable<QueuePageQuery["queue"]>; minutes: number }): ReactElement {
  const { points, bucketSeconds } = data.throughput;
  const times = points.map((point) => ms(point.time));
  const done = points.slice(0, -1);
  return (
    <>
      <div className="tiles">
        {[...LIVE, "SUCCEEDED" as const, "FAILED" as const].map((state) => (
          <Link key={state} to="/jobs" search={{ q: `queue:${queue.name} state:${state.toLowerCase()}` }} className="tile">
            <span className="k"><StateIcon state={state} size={13} />{texts.states[state]}</span>
            <div className="v">{short(countOf(queue.stateCounts, [state]))}</div>
          </Link>
        ))}
      </div>
      <div className="grid2">
        <section className="card">
          <h2>{texts.queue.depth}</h2>
          <Chart label={texts.queue.depth} times={times} unit={short} series={[
            { name: texts.states.QUEUED, colour: "var(--QUEUED)", values: points.map((p) => p.queued) },
            { name: texts.states.RUNNING, colour: "var(--RUNNING)", values: points.map((p) => p.running) },
          ]} />
        </section>
        <section className="card">
          <h2>{texts.queue.flow}</h2>
          <Chart label={texts.queue.flow} times={times.slice(0, -1)} unit={rate} series={[
            { name: texts.overview.flowSeries.submitted, colour: "var(--QUEUED)", values: done.map((p) => p.submitted / bucketSeconds), dashed: true },
            { name: texts.states.LEASED, colour: "var(--LEASED)", values: done.map((p) => p.leased / bucketSeconds) },
            { name: texts.overview.flowSeries.ended, colour: "var(--SUCCEEDED)", values: done.map((p) => (p.succeeded + p.failed + p.cancelled + p.preempted) / bucketSeconds) },
            { name: texts.overview.flowSeries.failed, colour: "var(--FAILED)", values: done.map((p) => p.failed / bucketSeconds) },
          ]} />
        </section>
        <section className="card">
          <h2><span>{texts.queue.waits}</span><small>{texts.queue.waitsHelp}</small></h2>
          {data.waitTimes.length === 0 ? <Nothing text={texts.queue.noWaits} /> : (
            <Chart label={texts.queue.waits} times={data.waitTimes.map((p) => ms(p.time))} unit={duration} series={[
              { name: "p50", colour: "var(--SUCCEEDED)", values: data.waitTimes.map((p) => p.p50Ms) },
              { name: "p90", colour: "var(--PENDING)", values: data.waitTimes.map((p) => p.p90Ms) },
              { name: "p99", colour: "var(--FAILED)", values: data.waitTimes.map((p) => p.p99Ms) },
            ]} />
          )}
        </section>
        {data.queueShares.map((share) => <Shares key={share.pool} share={share} minutes={minutes} scale={bulletScale(data.queueShares)} />)}
      </div>
      <div className="grid2">
        <section className="card">
          <h2><span>{texts.queue.topSets}</span><Link to="/sets" search={{ queue: queue.name, ended: "yes" }} style={{ fontWeight: 400, fontSize: 12 }}>{texts.common.all}</Link></h2>
          {data.jobGroups.nodes.length === 0 ? <Nothing text={texts.jobSets.emptyHint} /> : (
            <table className="table">
              <thead><tr><th>{texts.columns["jobSet"]}</th><th className="num">{texts.jobs.title}</th><th>{texts.columns["state"]}</th><th className="num">{texts.columns["lastTransition"]}</th></tr></thead>
              <tbody>
                {data.jobGroups.nodes.map((group) => (
                  <tr key={group.keys[0]?.value}>
                    <td style={{ overflowWrap: "anywhere" }}><JobSetLink queue={queue.name} name={group.keys[0]?.value ?? ""} /></td>
                    <td className="num">{whole(group.count)}</td>
                    <td style={{ width: "35%" }}><StateBar counts={group.stateCounts} /></td>
                    <td className="num"><Time at={group.lastTransitionLatest} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
        <section className="card">
          <h2>{texts.queue.settings}</h2>
          <Pairs of={[
            [texts.queues.weight, `${Number(queue.weight.toPrecision(4))}`],
            [texts.queue.factor, String(queue.priorityFactor)],
            [texts.queue.created, <Time key="created" at={queue.created} />],
            [texts.queue.owners, queue.owners.join(", ")],
            [texts.queue.groupOwners, queue.groupOwners.join(", ")],
            [texts.queue.permissions, queue.permissions.map((each) => `${each.subjects.map((subject) => `${subject.kind.toLowerCase()} ${subject.name}`).join(", ")}: ${each.verbs.join(", ")}`).join("; ")],
            [texts.queue.labels, <Chips key="labels" of={record(queue.labels)} />],
            [texts.queue.caps, <Caps key="caps" limits={queue.resourceLimitsByPriorityClass} />],
            [texts.queue.jobs, whole(countOf(queue.stateCounts, STATES))],
          ]} />
        </section>
      </div>
    </>
  );
}

/** What its owners and operators may change. */
function Settings({ queue, again }: { queue: NonNullable<QueuePageQuery["queue"]>; again: () => void }): ReactElement {
  const [editing, setEditing] = useState(false);
  const why = (verb: string): string => queue.refusedVerbs.find((each) => each.verb === verb)?.reason ?? "";
  const live = countOf(queue.stateCounts, LIVE);
  return (
    <>
      <ActionMenu label={texts.actions.onQueue} queues={[queue.name]} disabled={live === 0 ? texts.actions.nothingLive : ""} target={() => filterTarget({ queues: [queue.name] }, `queue:${queue.name}`)} onDone={again} />
      <CordonButton queue={queue.name} cordoned={queue.cordoned} why={why("cordon")} again={again} />
      <VerbButton size="xs" variant="default" why={why("update")} leftSection={<IconPencil size={14} aria-hidden />} onClick={() => setEditing(true)}>{texts.queue.edit}</VerbButton>
      {editing ? <QueueForm draft={draftOf(queue)} onClose={() => { setEditing(false); again(); }} /> : null}
    </>
  );
}

function Caps({ limits }: { limits: unknown }): ReactElement {
  const caps = capsOf(limits);
  if (caps.length === 0) return <span className="muted">{texts.common.none}</span>;
  return <span className="chips">{caps.map((cap) => <span key={`${cap.priorityClass} ${cap.resource}`} className="chip">{cap.priorityClass}: {texts.queue.capOf(cap.resource, `${cap.percent} %`)}</span>)}</span>;
}

function Shares({ share, minutes, scale }: { share: QueuePageQuery["queueShares"][number]; minutes: number; scale: number }): ReactElement {
  const polled = usePolled(SHARES, { pool: share.pool, queue: share.queue, minutes }, EVERY_MS);
  const grid = shareGrid(polled.data?.shareHistory ?? [], polled.at - minutes * 60_000, polled.at, minutes <= 60 ? 10_000 : 60_000);
  const values = grid.queues.get(share.queue) ?? [];
  return (
    <section className="card">
      <h2><span>{texts.queue.sharesOver} {share.pool}</span><span className="muted">{texts.queue.holdsOf(percent(share.actualShare), percent(share.fairShare))}</span></h2>
      <Bullet shares={share} scale={scale} />
      <div style={{ height: 8 }} />
      <Chart label={`${texts.queue.sharesOver} ${share.pool}`} height={118} times={grid.times} unit={percent} series={[
        { name: texts.queue.sharesSeries.held, colour: "var(--accent)", values: values.map((point) => point?.actualShare ?? null) },
        { name: texts.queue.sharesSeries.fair, colour: "var(--text)", values: values.map((point) => point?.fairShare ?? null), dashed: true },
        { name: texts.queue.sharesSeries.adjusted, colour: "var(--PREEMPTED)", values: values.map((point) => point?.adjustedShare ?? null), dashed: true },
      ]} />
    </section>
  );
}
