// How long the latest jobs of a set ran: a histogram with its quantiles.
import type { ReactElement } from "react";
import { usePolled } from "../app/polled";
import { graphql } from "../gql";
import { duration, ms, whole } from "../lib/format";
import { histogram, quantile } from "../lib/histogram";
import { texts } from "../texts/en";
import { Answer, Nothing } from "./outcomes";

const RUN_TIMES = graphql(`
  query RunTimes($queue: String!, $jobSet: String!) {
    jobs(filter: { queues: [$queue], jobSet: { eq: $jobSet }, states: [SUCCEEDED] }, order: { field: LAST_TRANSITION }, first: 200) { nodes { lastRun { started finished } } }
  }
`);
const EVERY_MS = 15_000;
const BINS_MAX = 24;

export function RunTimes({ queue, jobSet, paused }: { queue: string; jobSet: string; paused: boolean }): ReactElement {
  const polled = usePolled(RUN_TIMES, { queue, jobSet }, EVERY_MS, paused);
  const times = (polled.data?.jobs.nodes ?? []).flatMap(({ lastRun }) => (lastRun?.started && lastRun.finished ? [ms(lastRun.finished) - ms(lastRun.started)] : []));
  const bins = histogram(times, BINS_MAX);
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const label = [0.5, 0.9, 0.99].map((part) => `p${part * 100} ${duration(quantile(times, part))}`).join(", ");
  return (
    <section className="card">
      <h2><span>{texts.jobSet.runTimes}</span>{times.length > 0 ? <small>{texts.jobSet.runTimesOf(whole(times.length))}</small> : null}</h2>
      <Answer of={polled} rows={4}>
        {() => times.length === 0 ? <Nothing text={texts.jobSet.noneEnded} /> : (
          <figure style={{ margin: 0 }}>
            <div className="bars" role="img" aria-label={`${texts.jobSet.runTimes}: ${label}`}>
              {bins.map((bin) => <span key={bin.from} title={`${duration(bin.from)} – ${duration(bin.to)}: ${whole(bin.count)}`}><i style={{ height: `${(bin.count / most) * 100}%` }} /></span>)}
            </div>
            <figcaption className="legend" style={{ justifyContent: "space-between", flexWrap: "nowrap" }}><span>0 s</span><span>{label}</span><span>{duration(bins.at(-1)?.to ?? 0)}</span></figcaption>
          </figure>
        )}
      </Answer>
    </section>
  );
}
