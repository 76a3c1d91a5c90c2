// What stands out in a job set: failures by what they have in common, the latest of them, the longest runs, the latest events.
import { Link } from "@tanstack/react-router";
import type { ReactElement, ReactNode } from "react";
import type { StreamEvent } from "../app/eventStream";
import { usePreferences } from "../app/preferences";
import type { JobSetPageQuery } from "../gql/graphql";
import { clock, ms, whole } from "../lib/format";
import { withKey } from "../lib/jobQuery";
import { texts } from "../texts/en";
import { ExitCode } from "./exitCode";
import { words } from "./jobEvents";
import { Nothing } from "./outcomes";
import { JobLink, NodeLink, whatWentWrong } from "./pieces";
import { isJobState, State, StateIcon } from "./states";
import { Lasting, Time } from "./times";

function Card({ title, note, nothing, head, children }: { title: string; note?: string | undefined; nothing: string; head: ReactNode; children: readonly ReactElement[] }): ReactElement {
  return (
    <section className="card">
      <h2>{title}</h2>
      {children.length === 0 ? <Nothing text={nothing} /> : <div className="scroll-x"><table className="table"><thead><tr>{head}</tr></thead><tbody>{children}</tbody></table></div>}
      {note === undefined ? null : <p className="nothing">{note}</p>}
    </section>
  );
}

export function FailureGroups({ failures, query }: { failures: JobSetPageQuery["failures"]; query: string }): ReactElement {
  const all = withKey(query, "state", ["failed", "rejected", "preempted"]);
  return (
    <Card title={texts.jobSet.failures} nothing={texts.jobSet.noFailures} note={failures.complete ? undefined : texts.jobSet.sampled} head={<><th>{texts.columns["reason"]}</th><th className="num">{texts.groups["exitCode"]}</th><th className="num">{texts.jobs.title}</th></>}>
      {failures.nodes.map((group) => {
        const [reason, exit] = [group.keys[0]?.value, group.keys[1]?.value];
        const narrowed = withKey(withKey(all, "reason", reason ? [reason] : []), "exit", exit ? [exit] : []);
        return (
          <tr key={`${reason ?? ""} ${exit ?? ""}`}>
            <td>{reason ?? texts.common.none}</td>
            <td className="num"><ExitCode code={exit ? Number(exit) : null} /></td>
            <td className="num"><Link to="/jobs" search={{ q: narrowed }}>{whole(group.count)}</Link></td>
          </tr>
        );
      })}
    </Card>
  );
}

export function FailedJobs({ jobs }: { jobs: JobSetPageQuery["failed"]["nodes"] }): ReactElement {
  return (
    <Card title={texts.jobSet.failedJobs} nothing={texts.jobSet.noFailures} head={<><th>{texts.columns["state"]}</th><th>{texts.columns["id"]}</th><th className="num">{texts.columns["exitCode"]}</th><th>{texts.columns["reason"]}</th><th className="num">{texts.columns["lastTransition"]}</th></>}>
      {jobs.map((job) => (
        <tr key={job.id}>
          <td><State state={job.state} /></td>
          <td><JobLink id={job.id} short /></td>
          <td className="num"><ExitCode code={job.exitCode} /></td>
          <td className="cut" style={{ maxWidth: 200 }} title={whatWentWrong(job).slice(0, 500)}>{whatWentWrong(job).slice(0, 120)}</td>
          <td className="num"><Time at={job.lastTransition} /></td>
        </tr>
      ))}
    </Card>
  );
}

const RUN_HEAD = <><th>{texts.columns["id"]}</th><th>{texts.columns["node"]}</th><th>{texts.columns["cluster"]}</th><th className="num">{texts.columns["runtime"]}</th></>;

function Where({ cluster, node }: { cluster?: string | null; node?: string | null }): ReactElement {
  return <><td>{node && cluster ? <NodeLink cluster={cluster} node={node} /> : texts.common.none}</td><td className="muted">{cluster ?? texts.common.none}</td></>;
}

export function RunningJobs({ jobs }: { jobs: JobSetPageQuery["running"]["nodes"] }): ReactElement {
  return (
    <Card title={texts.jobSet.longest} nothing={texts.jobSet.noneRunning} head={RUN_HEAD}>
      {jobs.map((job) => <tr key={job.id}><td><JobLink id={job.id} short /></td><Where cluster={job.cluster ?? null} node={job.node ?? null} /><td className="num"><Lasting since={job.lastRun?.started} exact /></td></tr>)}
    </Card>
  );
}

export function SlowestJobs({ jobs }: { jobs: JobSetPageQuery["slowest"]["nodes"] }): ReactElement {
  const ran = jobs.filter((job) => job.lastRun?.started && job.lastRun.finished);
  return (
    <Card title={texts.jobSet.slowest} nothing={texts.jobSet.noneEnded} head={<><th>{texts.columns["state"]}</th>{RUN_HEAD}</>}>
      {ran.map((job) => <tr key={job.id}><td><State state={job.state} /></td><td><JobLink id={job.id} short /></td><Where cluster={job.cluster ?? null} node={job.node ?? null} /><td className="num"><Lasting since={job.lastRun?.started} end={job.lastRun?.finished ?? null} exact /></td></tr>)}
    </Card>
  );
}

export function Feed({ feed }: { feed: readonly StreamEvent[] }): ReactElement {
  const { zone } = usePreferences();
  return (
    <section className="card">
      <h2>{texts.jobSet.feed}</h2>
      {feed.length === 0 ? <Nothing text={texts.jobSet.feedEmpty} /> : (
        <div style={{ maxHeight: 240, overflow: "auto" }} tabIndex={0} role="log" aria-label={texts.jobSet.feed} aria-live="off">
          <table className="table">
            <tbody>
              {feed.map((event) => (
                <tr key={event.id}>
                  <td className="nowrap muted">{clock(ms(event.time), zone)}</td>
                  <td className="nowrap"><span className="state">{isJobState(event.kind) ? <StateIcon state={event.kind} /> : null}{words(event.kind)}</span></td>
                  <td><JobLink id={event.jobId} short /></td>
                  <td className="cut" style={{ maxWidth: 160 }}>{event.node ?? event.reason?.slice(0, 60) ?? ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
