// The runs of a job: as bars over time, and as a table.
import type { ReactElement } from "react";
import { useNow } from "../app/clock";
import { usePreferences } from "../app/preferences";
import type { JobState } from "../gql/graphql";
import { clock, duration, ms } from "../lib/format";
import { texts } from "../texts/en";
import type { JobDetail } from "./jobView";
import { ExitCode } from "./exitCode";
import { Nothing } from "./outcomes";
import { NodeLink } from "./pieces";
import { isJobState, RunState } from "./states";
import { Lasting, Time } from "./times";

type Run = JobDetail["runs"][number];
interface Span {
  state: JobState;
  from: number;
  to: number;
  label: string;
}

/** What a job did when: it waits wherever no run holds it. Pure. */
export function spansOf(job: Pick<JobDetail, "submitted" | "finished" | "runs">, now: number): Span[] {
  const end = job.finished ? ms(job.finished) : now;
  const spans: Span[] = [];
  let at = ms(job.submitted);
  const add = (state: JobState, from: number, to: number, label: string): void => {
    if (to > from) spans.push({ state, from, to, label: `${label} ${duration(to - from)}` });
  };
  for (const run of job.runs) {
    const begin = run.leased ? ms(run.leased) : at;
    const stop = run.finished ? ms(run.finished) : end;
    const pending = run.pending ? ms(run.pending) : run.started ? ms(run.started) : stop;
    const started = run.started ? ms(run.started) : stop;
    add("QUEUED", at, begin, texts.states.QUEUED);
    add("LEASED", begin, Math.min(pending, stop), texts.states.LEASED);
    add("PENDING", Math.min(pending, stop), Math.min(started, stop), texts.states.PENDING);
    add("RUNNING", Math.min(started, stop), stop, `${texts.states.RUNNING} on ${run.node}`);
    at = stop;
  }
  add("QUEUED", at, end, texts.states.QUEUED);
  return spans;
}

export function Timeline({ job }: { job: JobDetail }): ReactElement {
  const now = useNow();
  const { zone } = usePreferences();
  const spans = spansOf(job, now);
  const [begin, end] = [ms(job.submitted), job.finished ? ms(job.finished) : Math.max(now, ms(job.lastTransition))];
  const length = Math.max(1, end - begin);
  const label = spans.map((span) => span.label).join(", ");
  return (
    <figure style={{ margin: 0 }}>
      <div className="lane" role="img" aria-label={`${texts.job.timeline}: ${label}`}>
        {spans.map((span) => (
          <span
            key={`${span.from} ${span.state}`}
            title={span.label}
            style={{ left: `${((span.from - begin) / length) * 100}%`, width: `${((span.to - span.from) / length) * 100}%`, background: `var(--${span.state})`, opacity: span.state === "QUEUED" ? 0.4 : 1 }}
          />
        ))}
      </div>
      <figcaption className="legend" style={{ justifyContent: "space-between", flexWrap: "nowrap" }}>
        <span>{clock(begin, zone)}</span>
        <span style={{ display: "flex", gap: "2px 10px", flexWrap: "wrap", justifyContent: "center" }}>
          {(["QUEUED", "LEASED", "PENDING", "RUNNING"] as const).map((state) => {
            const sum = spans.filter((span) => span.state === state).reduce((all, span) => all + span.to - span.from, 0);
            return sum === 0 ? null : <span key={state}><i style={{ background: `var(--${state})`, opacity: state === "QUEUED" ? 0.4 : 1 }} />{texts.states[state]} {duration(sum)}</span>;
          })}
        </span>
        <span>{job.finished ? clock(end, zone) : "now"}</span>
      </figcaption>
    </figure>
  );
}

/** In the words of the cluster, where it said something about this attempt. */
function reasonOf(run: Run, errors: JobDetail["errors"]): string {
  return run.reason || errors.findLast((error) => error.attempt === run.attempt)?.message || run.reasonCode || texts.common.none;
}

export function RunsTable({ runs, errors, narrow = false }: { runs: readonly Run[]; errors: JobDetail["errors"]; narrow?: boolean }): ReactElement {
  if (runs.length === 0) return <Nothing text={texts.job.noRuns} />;
  return (
    <div className="scroll-x">
      <table className="table">
        <thead>
          <tr>
            <th className="num">#</th><th>{texts.columns["state"]}</th><th>{texts.columns["node"]}</th>{narrow ? null : <th>{texts.columns["cluster"]}</th>}
            <th className="num">Leased</th>{narrow ? null : <th className="num">Started</th>}<th className="num">{texts.columns["runtime"]}</th><th className="num">{texts.columns["exitCode"]}</th>{narrow ? null : <th>{texts.columns["reason"]}</th>}
          </tr>
        </thead>
        <tbody>
          {[...runs].reverse().map((run) => (
            <tr key={run.id}>
              <td className="num">{run.attempt + 1}</td>
              <td><RunState state={isJobState(run.state) ? run.state : run.state} /></td>
              <td><NodeLink cluster={run.cluster} node={run.node} /></td>
              {narrow ? null : <td>{run.cluster}</td>}
              <td className="num"><Time at={run.leased} /></td>
              {narrow ? null : <td className="num"><Time at={run.started} /></td>}
              <td className="num">{run.started ? <Lasting since={run.started} end={run.finished ?? null} exact /> : "–"}</td>
              <td className="num"><ExitCode code={run.exitCode} /></td>
              {narrow ? null : <td className="cut" style={{ maxWidth: 360 }} title={reasonOf(run, errors).slice(0, 500)}>{reasonOf(run, errors).slice(0, 200)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
