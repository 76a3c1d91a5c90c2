// A job set: how far it is, how fast, what failed, what runs or ran longest; its events as they happen.
import { Button } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactElement, useEffect, useState } from "react";
import { useNow } from "../app/clock";
import { usePolled } from "../app/polled";
import { useSetProgress } from "../app/setProgress";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { JobSetPageQuery } from "../gql/graphql";
import { age, duration, percent, rate, whole } from "../lib/format";
import { ENDED, LIVE, STATES, withKey } from "../lib/jobQuery";
import { ActionMenu } from "../parts/jobActions";
import { FailedJobs, FailureGroups, Feed, RunningJobs, SlowestJobs } from "../parts/jobSetLists";
import { Answer, Empty } from "../parts/outcomes";
import { PauseButton, QueueLink } from "../parts/pieces";
import { RunTimes } from "../parts/runTimes";
import { countOf, StateBar, StateIcon } from "../parts/states";
import { Time } from "../parts/times";
import { texts } from "../texts/en";

const SET = graphql(`
  query JobSetPage($queue: String!, $name: String!) {
    jobSet(queue: $queue, name: $name) {
      queue name stateCounts { state count } total submittedEarliest lastTransitionLatest finishedLatest rate etaSeconds cursor
    }
    failures: jobGroups(filter: { queues: [$queue], jobSet: { eq: $name }, states: [FAILED, REJECTED, PREEMPTED] }, by: ["reasonCode", "exitCode"], first: 20) {
      complete nodes { count keys { field value } }
    }
    failed: jobs(filter: { queues: [$queue], jobSet: { eq: $name }, states: [FAILED, REJECTED, PREEMPTED] }, order: { field: LAST_TRANSITION }, first: 8) {
      nodes { id state lastTransition exitCode reason reasonCode errors { message } }
    }
    running: jobs(filter: { queues: [$queue], jobSet: { eq: $name }, states: [RUNNING] }, order: { field: LAST_TRANSITION, direction: ASC }, first: 8) {
      nodes { id cluster node lastRun { started } }
    }
    slowest: jobs(filter: { queues: [$queue], jobSet: { eq: $name }, states: [SUCCEEDED, FAILED] }, order: { field: RUN_TIME }, first: 8) {
      nodes { id state cluster node lastRun { started finished } }
    }
  }
`);
const route = getRouteApi("/queues/$queue/sets/$jobSet");

export function JobSetPage(): ReactElement {
  const { queue, jobSet } = route.useParams();
  useTitle(jobSet);
  const [paused, setPaused] = useState(false);
  const polled = usePolled(SET, { queue, name: jobSet }, paused ? 0 : 5_000, paused);
  const cursor = polled.data?.jobSet?.cursor;
  const progress = useSetProgress(queue, jobSet, useFirst(cursor, `${queue}\n${jobSet}`), paused);
  const { again } = polled;
  useEffect(() => {
    // Events say that the counts have changed; they are read again at most twice a second.
    if (progress.changes === 0) return undefined;
    const timer = setTimeout(again, 400);
    return () => clearTimeout(timer);
  }, [progress.changes, again]);
  return (
    <div className="page">
      <div className="head">
        <div className="crumbs">
          <Link to="/sets">{texts.jobSets.title}</Link><span aria-hidden>/</span><QueueLink name={queue} /><span aria-hidden>/</span>
          <h1 style={{ overflowWrap: "anywhere" }}>{jobSet}</h1>
        </div>
        <span className="spacer" />
        <LiveBadge progress={progress} />
        <PauseButton paused={paused} onChange={setPaused} />
        <Button size="xs" variant="default" component={Link} to={`/jobs?q=${encodeURIComponent(withKey(withKey("", "queue", [queue]), "set", [jobSet]))}`}>{texts.jobSet.allJobs}</Button>
        {polled.data?.jobSet ? <ActionMenu label={texts.actions.onSet} queues={[queue]} disabled={countOf(polled.data.jobSet.stateCounts, LIVE) === 0 ? texts.actions.nothingLive : ""} target={() => ({ kind: "set", queue, jobSet })} onDone={again} /> : null}
      </div>
      <Answer of={polled} rows={10}>
        {(data) => data.jobSet ? <Body data={data} set={data.jobSet} progress={progress} paused={paused} /> : <Empty title={texts.jobSet.gone} hint={texts.jobSet.goneHint} />}
      </Answer>
    </div>
  );
}

/** The first cursor that was seen for a set: the stream begins there and knows its own way from then on. */
function useFirst(cursor: string | undefined, key: string): string | undefined {
  const [held, setHeld] = useState<{ key: string; cursor: string | undefined }>({ key, cursor });
  if (held.key !== key) setHeld({ key, cursor });
  else if (held.cursor === undefined && cursor !== undefined) setHeld({ key, cursor });
  return held.key === key ? held.cursor : cursor;
}

function LiveBadge({ progress }: { progress: ReturnType<typeof useSetProgress> }): ReactElement {
  const now = useNow();
  const { status, heard, refusal } = progress.stream;
  const text = { live: texts.common.live, connecting: `${texts.common.loading}…`, paused: texts.common.paused, waiting: `reconnecting${heard > 0 ? `, last heard ${age(now - heard)} ago` : ""}`, refused: refusal || texts.common.forbidden }[status];
  return (
    <span className="state" role="status" style={{ color: status === "live" ? "var(--SUCCEEDED)" : status === "paused" ? "var(--muted)" : "var(--warn)" }}>
      <i aria-hidden style={{ width: 8, height: 8, borderRadius: 8, background: "currentColor" }} />
      {text}
    </span>
  );
}

function Body({ data, set, progress, paused }: { data: JobSetPageQuery; set: NonNullable<JobSetPageQuery["jobSet"]>; progress: ReturnType<typeof useSetProgress>; paused: boolean }): ReactElement {
  const ended = countOf(set.stateCounts, ENDED);
  const left = set.total - ended;
  const query = withKey(withKey("", "queue", [set.queue]), "set", [set.name]);
  return (
    <>
      <section className="card">
        <h2><span>{texts.jobSet.progress}</span><span className="muted">{whole(ended)} / {whole(set.total)} {texts.jobSet.ended}, {percent(set.total === 0 ? 0 : ended / set.total)}</span></h2>
        <StateBar counts={set.stateCounts} />
        <div className="legend" style={{ marginTop: 8 }}>
          {STATES.map((state) => {
            const count = countOf(set.stateCounts, [state]);
            return count === 0 ? null : (
              <Link key={state} to="/jobs" search={{ q: `${query} state:${state.toLowerCase()}` }} className="state" style={{ color: `var(--${state})` }}>
                <StateIcon state={state} size={13} /> {texts.states[state]} {whole(count)}
              </Link>
            );
          })}
        </div>
      </section>
      <div className="tiles">
        <div className="tile" title={texts.jobSet.rateHelp}><span className="k">{texts.jobSet.rate}</span><div className="v">{rate(set.rate)}</div></div>
        <div className="tile"><span className="k">{texts.jobSet.eta}</span><div className="v">{left === 0 ? texts.common.none : set.etaSeconds === null || set.etaSeconds === undefined ? texts.jobSet.etaUnknown : duration(set.etaSeconds * 1_000)}</div></div>
        <div className="tile"><span className="k">{texts.jobSet.first}</span><div className="v"><Time at={set.submittedEarliest} /></div></div>
        <div className="tile"><span className="k">{set.finishedLatest ? texts.jobSet.finished : texts.jobSet.last}</span><div className="v"><Time at={set.finishedLatest ?? set.lastTransitionLatest} /></div></div>
      </div>
      <div className="grid2">
        <FailureGroups failures={data.failures} query={query} />
        <FailedJobs jobs={data.failed.nodes} />
        <RunningJobs jobs={data.running.nodes} />
        <SlowestJobs jobs={data.slowest.nodes} />
        <RunTimes queue={set.queue} jobSet={set.name} paused={paused} />
        <Feed feed={progress.feed} />
      </div>
    </>
  );
}
