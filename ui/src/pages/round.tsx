// One round: who was placed where, who was preempted for whom, who found no place and why.
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { usePolled } from "../app/polled";
import { usePreferences } from "../app/preferences";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { RoundPageQuery } from "../gql/graphql";
import { absolute, duration, ms, percentFixed, resource, whole } from "../lib/format";
import { Bullet, bulletScale } from "../parts/bullet";
import { Answer, Empty, Nothing } from "../parts/outcomes";
import { JobLink, NodeLink, QueueLink, record } from "../parts/pieces";
import { PhaseBar, PhaseLegend } from "../parts/phases";
import { texts } from "../texts/en";
import { totalUs } from "./overview";

const ROUND = graphql(`
  query RoundPage($id: ID!) {
    round(id: $id) {
      id pool epoch kind started nodes queued running considered placed preempted blocked timings
      placements { jobId runId queue cluster node scheduledAtPriority method }
      preemptions { jobId runId queue node reason by }
      blockedJobs { queue jobs example reason nodes { reason nodes } shortfall }
      shares { pool queue weight fairShare adjustedShare demandShare actualShare }
    }
  }
`);
const SHOWN = 200;
const route = getRouteApi("/rounds/$roundId");
type Round = NonNullable<RoundPageQuery["round"]>;

export function RoundPage(): ReactElement {
  const { roundId } = route.useParams();
  const { zone } = usePreferences();
  const polled = usePolled(ROUND, { id: roundId }, 0);
  const round = polled.data?.round;
  useTitle(round ? `Round of ${round.pool}` : texts.rounds.title);
  return (
    <div className="page">
      <div className="head">
        <div className="crumbs"><Link to="/rounds">{texts.rounds.title}</Link><span aria-hidden>/</span>{round ? <Link to="/rounds" search={{ pool: round.pool }}>{round.pool}</Link> : null}<span aria-hidden>/</span><h1>{round ? absolute(ms(round.started), zone, true) : roundId}</h1></div>
        {round ? <span className="chip" title={texts.roundKinds[round.kind] ?? ""}>{round.kind}</span> : null}
      </div>
      <Answer of={polled} rows={10}>{(data) => data.round ? <Body round={data.round} /> : <Empty title={texts.round.gone} hint={texts.round.goneHint} />}</Answer>
    </div>
  );
}

function Body({ round }: { round: Round }): ReactElement {
  const tiles = [
    [texts.rounds.duration, duration(totalUs(round.timings) / 1_000)], [texts.rounds.queued, whole(round.queued)], [texts.rounds.considered, whole(round.considered)],
    [texts.rounds.placed, whole(round.placed)], [texts.rounds.preempted, whole(round.preempted)], [texts.rounds.blocked, whole(round.blocked)],
    [texts.round.config, whole(round.nodes)], [texts.round.epoch, whole(round.epoch)],
  ] as const;
  return (
    <>
      <div className="tiles">{tiles.map(([key, value]) => <div key={key} className="tile"><span className="k">{key}</span><div className="v">{value}</div></div>)}</div>
      <div className="grid2">
        <section className="card"><h2>{texts.rounds.phases}</h2><PhaseBar timings={round.timings} /><PhaseLegend timings={round.timings} /></section>
        <section className="card">
          <h2>{texts.round.shares}</h2>
          {round.shares.length === 0 ? <Nothing text={texts.round.noShares} /> : (
            <table className="table">
              <thead><tr><th>{texts.queues.name}</th><th style={{ width: "50%" }}>{texts.queues.shares}</th><th className="num">{texts.queues.holds}</th><th className="num">{texts.queues.fair}</th></tr></thead>
              <tbody>
                {round.shares.map((share) => <tr key={share.queue}><td><QueueLink name={share.queue} /></td><td><Bullet shares={share} scale={bulletScale(round.shares)} /></td><td className="num">{percentFixed(share.actualShare)}</td><td className="num">{percentFixed(share.fairShare)}</td></tr>)}
              </tbody>
            </table>
          )}
        </section>
      </div>
      <section className="card">
        <h2>{texts.round.blockedJobs}</h2>
        {round.blockedJobs.length === 0 ? <Nothing text={texts.round.nobodyBlocked} /> : (
          <div className="scroll-x">
            <table className="table">
              <thead><tr><th>{texts.queues.name}</th><th className="num">{texts.round.jobs}</th><th>{texts.round.reason}</th><th>{texts.round.nodesThatDont}</th><th>{texts.round.missing}</th><th>{texts.round.example}</th></tr></thead>
              <tbody>
                {round.blockedJobs.slice(0, SHOWN).map((blocked) => (
                  <tr key={`${blocked.example} ${blocked.reason}`}>
                    <td><QueueLink name={blocked.queue} /></td><td className="num">{whole(blocked.jobs)}</td><td>{texts.reasons[blocked.reason] ?? blocked.reason}</td>
                    <td>{blocked.nodes.map((each) => `${whole(each.nodes)} ${each.reason}`).join(", ") || texts.common.none}</td>
                    <td className="nowrap">{Object.entries(record(blocked.shortfall)).map(([name, quantity]) => `${resource(name, String(quantity))} ${name}`).join(", ") || texts.common.none}</td>
                    <td><JobLink id={blocked.example} short /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <section className="card">
        <h2>{texts.round.preemptions}</h2>
        {round.preemptions.length === 0 ? <Nothing text={texts.round.nobodyPreempted} /> : (
          <table className="table">
            <thead><tr><th>{texts.columns["id"]}</th><th>{texts.queues.name}</th><th>{texts.columns["node"]}</th><th>{texts.round.reason}</th><th>{texts.round.forJob}</th></tr></thead>
            <tbody>
              {round.preemptions.slice(0, SHOWN).map((each) => <tr key={each.runId}><td><JobLink id={each.jobId} /></td><td><QueueLink name={each.queue} /></td><td>{each.node}</td><td>{texts.methods[each.reason] ?? each.reason}</td><td>{each.by ? <JobLink id={each.by} /> : texts.common.none}</td></tr>)}
            </tbody>
          </table>
        )}
      </section>
      <section className="card">
        <h2><span>{texts.round.placements}</span>{round.placements.length > SHOWN ? <small className="muted">{texts.round.limited(SHOWN)}</small> : null}</h2>
        {round.placements.length === 0 ? <Nothing text={texts.round.nobodyPlaced} /> : (
          <div className="scroll-x">
            <table className="table">
              <thead><tr><th>{texts.columns["id"]}</th><th>{texts.queues.name}</th><th>{texts.columns["cluster"]}</th><th>{texts.columns["node"]}</th><th className="num">{texts.columns["priority"]}</th><th>{texts.round.method}</th></tr></thead>
              <tbody>
                {round.placements.slice(0, SHOWN).map((each) => <tr key={each.runId}><td><JobLink id={each.jobId} /></td><td><QueueLink name={each.queue} /></td><td>{each.cluster}</td><td><NodeLink cluster={each.cluster} node={each.node} /></td><td className="num">{whole(each.scheduledAtPriority)}</td><td>{texts.methods[each.method] ?? each.method}</td></tr>)}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </>
  );
}
