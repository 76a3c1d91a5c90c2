// How the pipeline is: views, clusters, the scheduler.
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { useNow } from "../app/clock";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { HealthPageQuery } from "../gql/graphql";
import { duration, ms, whole } from "../lib/format";
import { Answer, Empty, Nothing } from "../parts/outcomes";
import { Freshness } from "../parts/pieces";
import { Time } from "../parts/times";
import { texts } from "../texts/en";
import { totalUs } from "./overview";

const HEALTH = graphql(`
  query HealthPage {
    health {
      version now reading
      views { name version app topic partitions behind written }
      deadLetters { count latest { number time topic partition offset component reason message } }
    }
    clusters { name executorInstance lastHeard nodeCount }
    pools { name nodes }
  }
`);
const LAST_ROUND = graphql(`
  query LastRound($pool: String!) { rounds(pool: $pool, first: 1) { nodes { id epoch kind started queued running placed blocked timings } } }
`);
const LATE = 500;
const SILENT_MS = 30_000;

export function HealthPage(): ReactElement {
  useTitle(texts.health.title);
  const polled = usePolled(HEALTH, {}, 2_000);
  return (
    <div className="page">
      <div className="head"><h1>{texts.health.title}</h1><span className="spacer" /><Freshness at={polled.at} limitMs={8_000} /></div>
      <Answer of={polled} rows={10}>{(data) => <Body data={data} />}</Answer>
    </div>
  );
}

function Light({ good, children }: { good: boolean; children: string }): ReactElement {
  return (
    <span className="state" style={{ color: good ? "var(--SUCCEEDED)" : "var(--warn)" }}>
      {good ? <IconCircleCheck size={14} aria-hidden /> : <IconAlertTriangle size={14} aria-hidden />}
      {children}
    </span>
  );
}

function Body({ data }: { data: HealthPageQuery }): ReactElement {
  const now = useNow();
  const { health } = data;
  return (
    <>
      <div className="tiles" style={{ gridTemplateColumns: "repeat(auto-fit, minmax(220px, 1fr))" }}>
        <div className="tile"><span className="k">{texts.health.api}</span><Light good={health.reading}>{health.reading ? texts.health.apiReading : texts.health.apiNotReading}</Light></div>
        {data.pools.slice(0, 6).map((pool) => <Leader key={pool.name} pool={pool.name} />)}
        <div className="tile"><span className="k">{texts.health.version}</span><div>{health.version}</div></div>
      </div>
      <div className="grid2">
        <section className="card">
          <h2>{texts.health.views}</h2>
          <table className="table">
            <thead><tr><th>{texts.health.view}</th><th>{texts.health.app}</th><th>{texts.health.topic}</th><th className="num">{texts.health.behind}</th><th className="num">{texts.health.written}</th><th>{texts.columns["state"]}</th></tr></thead>
            <tbody>
              {health.views.map((view) => (
                <tr key={view.name}>
                  <td>{view.name} <span className="muted">v{view.version}</span></td><td>{view.app}</td><td className="mono">{view.topic}</td>
                  <td className="num">{view.behind === null || view.behind === undefined ? <span className="muted" title={texts.health.unknown}>{texts.common.none}</span> : whole(view.behind)}</td>
                  <td className="num"><Time at={view.written} /></td>
                  <td><Light good={(view.behind ?? 0) <= LATE}>{(view.behind ?? 0) <= LATE ? texts.health.ok : texts.health.late}</Light></td>
                </tr>
              ))}
            </tbody>
          </table>
          <p className="muted" style={{ margin: "8px 8px 0", fontSize: 12 }}>{texts.health.viewsHelp}</p>
        </section>
        <section className="card">
          <h2>{texts.health.clusters}</h2>
          {data.clusters.length === 0 ? <Empty title={texts.nodes.emptyTitle} hint={texts.nodes.emptyHint} /> : (
            <table className="table">
              <thead><tr><th>{texts.health.cluster}</th><th className="num">{texts.health.nodes}</th><th className="num">{texts.health.heard}</th><th>{texts.columns["state"]}</th></tr></thead>
              <tbody>
                {data.clusters.map((cluster) => {
                  const good = now - ms(cluster.lastHeard) < SILENT_MS;
                  return <tr key={cluster.name}><td>{cluster.name}</td><td className="num">{whole(cluster.nodeCount)}</td><td className="num"><Time at={cluster.lastHeard} /></td><td><Light good={good}>{good ? texts.health.ok : texts.health.silent}</Light></td></tr>;
                })}
              </tbody>
            </table>
          )}
        </section>
      </div>
      <DeadLetters letters={health.deadLetters} />
    </>
  );
}

const LETTERS_MAX = 1_000;

function DeadLetters({ letters }: { letters: HealthPageQuery["health"]["deadLetters"] }): ReactElement {
  const count = letters?.count ?? 0;
  return (
    <section className="card">
      <h2>
        <span>{texts.health.deadLetters} {count > 0 ? <small>{whole(count)}{count >= LETTERS_MAX ? "+" : ""}</small> : null}</span>
        {letters ? <Light good={count === 0}>{count === 0 ? texts.health.noDeadLetters : texts.health.someDeadLetters}</Light> : null}
      </h2>
      {!letters ? <Nothing text={texts.health.lettersUnknown} /> : (
        <>
          {letters.latest.length === 0 ? null : (
            <div className="scroll-x">
              <table className="table">
                <thead><tr><th className="num">#</th><th className="num">{texts.health.when}</th><th>{texts.health.record}</th><th>{texts.health.component}</th><th>{texts.columns["reason"]}</th><th>{texts.health.message}</th></tr></thead>
                <tbody>
                  {letters.latest.map((letter) => (
                    <tr key={letter.number}>
                      <td className="num">{whole(letter.number)}</td><td className="num"><Time at={letter.time} /></td>
                      <td className="mono nowrap">{letter.topic} {letter.partition}/{letter.offset}</td><td>{letter.component}</td><td>{letter.reason}</td>
                      <td className="cut" style={{ maxWidth: 480 }} title={letter.message.slice(0, 500)}>{letter.message.slice(0, 300)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
          <p className="muted" style={{ margin: "8px 8px 0", fontSize: 12 }}>{texts.health.deadLettersHelp}</p>
        </>
      )}
    </section>
  );
}

function Leader({ pool }: { pool: string }): ReactElement {
  const { data } = usePolled(LAST_ROUND, { pool }, 3_000);
  const round = data?.rounds.nodes[0];
  return (
    <div className="tile">
      <span className="k">{texts.health.leaderOf(pool)}</span>
      {round === undefined ? <span className="muted">{texts.common.none}</span> : (
        <span><Link to="/rounds/$roundId" params={{ roundId: round.id }}><Time at={round.started} /></Link> <span className="muted">{duration(totalUs(round.timings) / 1_000)}, {texts.health.epoch} {round.epoch}</span></span>
      )}
    </div>
  );
}
