// The rounds of a pool, newest first: how long they took and what they did.
import { Select, Switch } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactElement, useState } from "react";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import { duration, ms, short, whole } from "../lib/format";
import { Chart } from "../parts/chart";
import { Answer, Empty } from "../parts/outcomes";
import { Freshness, PauseButton } from "../parts/pieces";
import { PhaseBar, PhaseLegend } from "../parts/phases";
import { Time } from "../parts/times";
import { texts } from "../texts/en";
import { totalUs } from "./overview";

const POOLS = graphql(`
  query RoundPools { pools { name } }
`);
const ROUNDS = graphql(`
  query Rounds($pool: String!) {
    rounds(pool: $pool, first: 200) { nodes { id kind started nodes queued running considered placed preempted blocked timings } }
  }
`);
const SHOWN = 60;
const route = getRouteApi("/rounds");

export function Rounds(): ReactElement {
  useTitle(texts.rounds.title);
  const { pool, busy } = route.useSearch();
  const navigate = route.useNavigate();
  const pools = usePolled(POOLS, {}, 30_000);
  const chosen = pool ?? pools.data?.pools[0]?.name;
  const [paused, setPaused] = useState(false);
  return (
    <div className="page">
      <div className="head">
        <h1>{texts.rounds.title}</h1>
        <span className="muted">{texts.rounds.intro}</span>
        <Select size="xs" w={150} allowDeselect={false} aria-label={texts.nodes.pool} value={chosen ?? null} data={pools.data?.pools.map((each) => each.name) ?? (pool ? [pool] : [])} onChange={(value) => void navigate({ search: (before) => ({ ...before, pool: value ?? undefined }) })} />
        <Switch size="xs" label={texts.rounds.onlyBusy} checked={busy === "yes"} onChange={(event) => void navigate({ search: (before) => ({ ...before, busy: event.currentTarget.checked ? "yes" : undefined }), replace: true })} />
        <span className="spacer" />
        <PauseButton paused={paused} onChange={setPaused} />
      </div>
      {chosen === undefined ? <Answer of={pools} rows={6}>{() => <Empty title={texts.rounds.emptyTitle} hint={texts.rounds.emptyHint} />}</Answer> : <Table pool={chosen} onlyBusy={busy === "yes"} paused={paused} />}
    </div>
  );
}

function Table({ pool, onlyBusy, paused }: { pool: string; onlyBusy: boolean; paused: boolean }): ReactElement {
  const polled = usePolled(ROUNDS, { pool }, 2_000, paused);
  return (
    <Answer of={polled} rows={10}>
      {(data) => {
        const all = data.rounds.nodes;
        const shown = (onlyBusy ? all.filter((round) => round.placed + round.preempted > 0) : all).slice(0, SHOWN);
        const oldestFirst = [...shown].reverse();
        const scaleUs = Math.max(1, ...shown.map((round) => totalUs(round.timings)));
        if (shown.length === 0) return all.length === 0 ? <Empty title={texts.rounds.emptyTitle} hint={texts.rounds.emptyHint} /> : <Empty title={texts.rounds.noneBusy} hint={texts.rounds.noneBusyHint} />;
        return (
          <>
            <div className="grid2">
              <section className="card">
                <h2><span>{texts.rounds.duration}</span>{paused ? <strong>{texts.common.paused}</strong> : <Freshness at={polled.at} limitMs={10_000} />}</h2>
                <Chart label={texts.rounds.chart} height={110} times={oldestFirst.map((round) => ms(round.started))} unit={duration} series={[{ name: texts.rounds.duration, colour: "var(--accent)", values: oldestFirst.map((round) => totalUs(round.timings) / 1_000) }]} />
              </section>
              <section className="card">
                <h2>{texts.rounds.placed}</h2>
                <Chart label={texts.rounds.placed} height={110} times={oldestFirst.map((round) => ms(round.started))} unit={short} series={[
                  { name: texts.rounds.placed, colour: "var(--SUCCEEDED)", values: oldestFirst.map((round) => round.placed) },
                  { name: texts.rounds.preempted, colour: "var(--PREEMPTED)", values: oldestFirst.map((round) => round.preempted) },
                ]} />
              </section>
            </div>
            <div className="card scroll-x">
              <table className="table">
                <thead>
                  <tr>
                    <th>{texts.rounds.started}</th><th>{texts.rounds.kind}</th><th className="num">{texts.rounds.duration}</th><th style={{ width: "20%" }}>{texts.rounds.phases}</th>
                    <th className="num">{texts.rounds.queued}</th><th className="num">{texts.rounds.considered}</th><th className="num">{texts.rounds.placed}</th><th className="num">{texts.rounds.preempted}</th><th className="num">{texts.rounds.blocked}</th>
                  </tr>
                </thead>
                <tbody>
                  {shown.map((round) => (
                    <tr key={round.id}>
                      <td><Link to="/rounds/$roundId" params={{ roundId: round.id }}><Time at={round.started} /></Link></td>
                      <td title={texts.roundKinds[round.kind] ?? ""}>{round.kind}</td>
                      <td className="num">{duration(totalUs(round.timings) / 1_000)}</td>
                      <td><PhaseBar timings={round.timings} scaleUs={scaleUs} /></td>
                      <td className="num">{whole(round.queued)}</td>
                      <td className="num">{whole(round.considered)}</td>
                      <td className="num" style={round.placed > 0 ? { color: "var(--SUCCEEDED)", fontWeight: 600 } : undefined}>{whole(round.placed)}</td>
                      <td className="num" style={round.preempted > 0 ? { color: "var(--PREEMPTED)", fontWeight: 600 } : undefined}>{whole(round.preempted)}</td>
                      <td className="num">{whole(round.blocked)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
              <PhaseLegend timings={shown[0]?.timings} />
            </div>
          </>
        );
      }}
    </Answer>
  );
}
