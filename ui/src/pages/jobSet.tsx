// A job set: how far it is, how fast, what failed and what runs longest; its events as they happen.
import { ActionIcon, Button, Group, Modal, TextInput } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactElement, useEffect, useState } from "react";
import { client, troubleOf } from "../app/client";
import { useNow } from "../app/clock";
import { usePolled } from "../app/polled";
import { usePreferences } from "../app/preferences";
import { useSetProgress } from "../app/setProgress";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { JobSetPageQuery } from "../gql/graphql";
import { age, clock, duration, ms, percent, rate, whole } from "../lib/format";
import { ENDED, LIVE, STATES } from "../lib/jobQuery";
import { words } from "../parts/jobEvents";
import { Answer, Empty } from "../parts/outcomes";
import { JobLink, NodeLink, QueueLink } from "../parts/pieces";
import { countOf, isJobState, State, StateBar, StateIcon } from "../parts/states";
import { Lasting, Time } from "../parts/times";
import { texts } from "../texts/en";

const SET = graphql(`
  query JobSetPage($queue: String!, $name: String!) {
    jobSet(queue: $queue, name: $name) { queue name stateCounts { state count } total submittedEarliest lastTransitionLatest cursor }
    failures: jobGroups(filter: { queues: [$queue], jobSet: { eq: $name }, states: [FAILED, REJECTED, PREEMPTED] }, by: ["reasonCode", "exitCode"], first: 20) {
      complete nodes { count keys { field value } }
    }
    failed: jobs(filter: { queues: [$queue], jobSet: { eq: $name }, states: [FAILED, REJECTED] }, order: { field: LAST_TRANSITION }, first: 8) {
      nodes { id state lastTransition exitCode reason reasonCode }
    }
    running: jobs(filter: { queues: [$queue], jobSet: { eq: $name }, states: [RUNNING] }, order: { field: LAST_TRANSITION, direction: ASC }, first: 8) {
      nodes { id cluster node lastRun { started } }
    }
  }
`);
const CANCEL_SET = graphql(`
  mutation CancelJobSet($queue: String!, $jobSet: String!, $reason: String) {
    cancelJobSet(queue: $queue, jobSet: $jobSet, reason: $reason, waitFor: VISIBLE) { affectedCount errors { code message } }
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
        <ActionIcon variant={paused ? "filled" : "default"} aria-pressed={paused} aria-label={paused ? texts.common.resume : texts.common.pause} title={paused ? texts.common.resume : texts.common.pause} onClick={() => setPaused(!paused)}>
          {paused ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />}
        </ActionIcon>
        <Button size="xs" variant="default" component={Link} to={`/jobs?q=${encodeURIComponent(`queue:${queue} set:${jobSet}`)}`}>{texts.jobSet.allJobs}</Button>
        {polled.data?.jobSet ? <CancelSet queue={queue} jobSet={jobSet} live={countOf(polled.data.jobSet.stateCounts, LIVE)} again={again} /> : null}
      </div>
      <Answer of={polled} rows={10}>
        {(data) => data.jobSet ? <Body data={data} set={data.jobSet} progress={progress} /> : <Empty title={texts.jobSet.gone} hint={texts.jobSet.goneHint} />}
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

function Body({ data, set, progress }: { data: JobSetPageQuery; set: NonNullable<JobSetPageQuery["jobSet"]>; progress: ReturnType<typeof useSetProgress> }): ReactElement {
  const { zone } = usePreferences();
  const ended = countOf(set.stateCounts, ENDED);
  const left = set.total - ended;
  const etaS = progress.rate > 0 && left > 0 ? left / progress.rate : undefined;
  const query = `queue:${set.queue} set:${set.name}`;
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
        <Tile label={texts.jobSet.rate} value={rate(progress.rate)} />
        <Tile label={texts.jobSet.eta} value={left === 0 ? "–" : etaS === undefined ? texts.jobSet.etaUnknown : duration(etaS * 1_000)} />
        <div className="tile"><span className="k">{texts.jobSet.first}</span><div className="v"><Time at={set.submittedEarliest} /></div></div>
        <div className="tile"><span className="k">{texts.jobSet.last}</span><div className="v"><Time at={set.lastTransitionLatest} /></div></div>
      </div>
      <div className="grid2">
        <section className="card">
          <h2>{texts.jobSet.failures}</h2>
          {data.failures.nodes.length === 0 ? <Empty title={texts.jobSet.noFailures} /> : (
            <table className="table">
              <thead><tr><th>{texts.columns["reason"]}</th><th className="num">{texts.groups["exitCode"]}</th><th className="num">{texts.jobs.title}</th></tr></thead>
              <tbody>
                {data.failures.nodes.map((group) => (
                  <tr key={group.keys.map((key) => key.value).join()}>
                    <td>{group.keys[0]?.value ?? texts.common.none}</td>
                    <td className="num">{group.keys[1]?.value ?? texts.common.none}</td>
                    <td className="num"><Link to="/jobs" search={{ q: `${query} state:failed,rejected,preempted${group.keys[0]?.value ? ` reason:${group.keys[0].value}` : ""}${group.keys[1]?.value ? ` exit:${group.keys[1].value}` : ""}` }}>{whole(group.count)}</Link></td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
        <section className="card">
          <h2>{texts.jobSet.failedJobs}</h2>
          {data.failed.nodes.length === 0 ? <Empty title={texts.jobSet.noFailures} /> : (
            <table className="table">
              <tbody>
                {data.failed.nodes.map((job) => (
                  <tr key={job.id}><td><State state={job.state} /></td><td><JobLink id={job.id} short /></td><td className="cut" style={{ maxWidth: 220 }} title={job.reason ?? ""}>{job.reason?.slice(0, 100) ?? [job.reasonCode, job.exitCode === null || job.exitCode === undefined ? "" : `exit ${job.exitCode}`].filter(Boolean).join(", ")}</td><td className="num"><Time at={job.lastTransition} /></td></tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
        <section className="card">
          <h2>{texts.jobSet.longest}</h2>
          {data.running.nodes.length === 0 ? <Empty title={texts.jobSet.noneRunning} /> : (
            <table className="table">
              <tbody>
                {data.running.nodes.map((job) => (
                  <tr key={job.id}><td><JobLink id={job.id} short /></td><td>{job.node && job.cluster ? <NodeLink cluster={job.cluster} node={job.node} /> : null}</td><td className="muted">{job.cluster}</td><td className="num"><Lasting since={job.lastRun?.started} exact /></td></tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
        <section className="card">
          <h2>{texts.jobSet.feed}</h2>
          {progress.feed.length === 0 ? <Empty title={texts.jobSet.feedEmpty} /> : (
            <div style={{ maxHeight: 240, overflow: "auto" }} tabIndex={0} role="log" aria-label={texts.jobSet.feed} aria-live="off">
              <table className="table">
                <tbody>
                  {progress.feed.map((event) => (
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
      </div>
    </>
  );
}

function Tile({ label, value }: { label: string; value: string }): ReactElement {
  return <div className="tile"><span className="k">{label}</span><div className="v">{value}</div></div>;
}

function CancelSet({ queue, jobSet, live, again }: { queue: string; jobSet: string; live: number; again: () => void }): ReactElement {
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [reason, setReason] = useState("");
  const [said, setSaid] = useState("");
  const run = async (): Promise<void> => {
    setBusy(true);
    const { data, error } = await client.mutation(CANCEL_SET, { queue, jobSet, reason: reason.trim() || null }).toPromise();
    setBusy(false);
    setSaid(error ? troubleOf(error).message || error.message : (data?.cancelJobSet.errors[0]?.message ?? texts.cancel.setDone(whole(data?.cancelJobSet.affectedCount ?? 0))));
    again();
  };
  return (
    <>
      <Button size="xs" color="red.9" disabled={live === 0} title={live === 0 ? texts.jobSet.noneRunning : undefined} onClick={() => { setSaid(""); setOpen(true); }}>{texts.jobSet.cancelSet}</Button>
      <Modal opened={open} onClose={() => setOpen(false)} centered title={said === "" ? texts.cancel.setTitle : said} closeButtonProps={{ "aria-label": texts.common.close }}>
        {said === "" ? (
          <form onSubmit={(event) => { event.preventDefault(); void run(); }}>
            <p style={{ marginTop: 0 }}>{texts.jobs.about(whole(live))}. {texts.cancel.text}</p>
            <TextInput label={texts.cancel.reason} value={reason} maxLength={500} data-autofocus onChange={(event) => setReason(event.currentTarget.value)} />
            <Group justify="flex-end" mt="md" gap="xs">
              <Button size="xs" variant="default" onClick={() => setOpen(false)}>{texts.cancel.keep}</Button>
              <Button size="xs" color="red.9" type="submit" loading={busy}>{texts.cancel.setConfirm}</Button>
            </Group>
          </form>
        ) : <Group justify="flex-end"><Button size="xs" variant="default" data-autofocus onClick={() => setOpen(false)}>{texts.common.close}</Button></Group>}
      </Modal>
    </>
  );
}
