// A job: what it is, what became of it, why it waits. The same in the drawer beside the list and on its own page.
import { ActionIcon, Button, Tabs } from "@mantine/core";
import { IconArrowUpRight, IconDownload, IconX } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { type ReactElement, useState } from "react";
import { usePolled } from "../app/polled";
import { graphql } from "../gql";
import type { JobDetailQuery } from "../gql/graphql";
import { duration, resource } from "../lib/format";
import { offer } from "../lib/csv";
import { LIVE } from "../lib/jobQuery";
import { toYaml } from "../lib/yaml";
import { texts } from "../texts/en";
import { Containers } from "./containers";
import { ExitCode } from "./exitCode";
import { JobActions } from "./jobActions";
import { JobEvents } from "./jobEvents";
import { Answer, Empty } from "./outcomes";
import { Chips, Copy, JobSetLink, NodeLink, Pairs, QueueLink, record } from "./pieces";
import { RunsTable, Timeline } from "./runs";
import { State } from "./states";
import { Lasting, Time } from "./times";
import { Why } from "./why";

const JOB = graphql(`
  query JobDetail($id: ID!) {
    job(id: $id) {
      id queue jobSet state priority priorityClass preemptible clientId owner namespace labels annotations externalUri pools
      submitted lastTransition finished deadlineSeconds attempt cluster node pool exitCode failureCategory reasonCode reason requestor
      requests { cpu memory ephemeralStorage gpu }
      gang { id cardinality uniformityLabel failFast }
      runs { id attempt cluster node pool state leased pending started finished exitCode failureCategory reasonCode reason }
      errors { attempt time kind code message }
      podSpec
    }
  }
`);
export type JobDetail = NonNullable<JobDetailQuery["job"]>;
const LIVE_EVERY_MS = 1_500;
const ENDED_EVERY_MS = 10_000;
const MESSAGE_MAX = 4_000;

export function JobView({ id, onClose, page = false }: { id: string; onClose?: () => void; page?: boolean }): ReactElement {
  const [isLive, setIsLive] = useState(true);
  const polled = usePolled(JOB, { id }, isLive ? LIVE_EVERY_MS : ENDED_EVERY_MS);
  const state = polled.data?.job?.state;
  const live = state === undefined || (LIVE as readonly string[]).includes(state);
  if (live !== isLive) setIsLive(live);
  return (
    <>
      {page ? null : (
        <div className="head">
          <h2 className="mono">{id}</h2>
          <Copy value={id} />
          <span className="spacer" />
          <Link to="/jobs/$jobId" params={{ jobId: id }} className="state" style={{ fontSize: 12 }}>{texts.job.fullPage}<IconArrowUpRight size={13} aria-hidden /></Link>
          <ActionIcon size="sm" variant="subtle" color="gray" aria-label={texts.common.close} onClick={onClose}><IconX size={15} /></ActionIcon>
        </div>
      )}
      <Answer of={polled} rows={9}>
        {(data) => (data.job ? <Body job={data.job} page={page} again={polled.again} /> : <Empty title={texts.job.gone} hint={texts.job.goneHint} />)}
      </Answer>
    </>
  );
}

function Body({ job, page, again }: { job: JobDetail; page: boolean; again: () => void }): ReactElement {
  const live = (LIVE as readonly string[]).includes(job.state);
  return (
    <>
      <div className="head">
        <State state={job.state} />
        <span className="muted">{live ? "for" : ""} {live ? <Lasting since={job.lastTransition} /> : <Time at={job.lastTransition} />}</span>
        {job.exitCode === null || job.exitCode === undefined ? null : <span className="chip">{texts.job.exit} <ExitCode code={job.exitCode} /></span>}
        <span className="spacer" />
        <JobActions jobs={[job]} onDone={again} />
      </div>
      {job.state === "QUEUED" ? <Why id={job.id} /> : null}
      {job.reason && job.state !== "QUEUED" ? <div className={`note ${job.state === "FAILED" || job.state === "REJECTED" ? "bad" : "warn"}`}><span style={{ overflowWrap: "anywhere" }}>{job.reason.slice(0, 500)}{job.requestor ? ` (${job.requestor})` : ""}</span></div> : null}
      <Timeline job={job} />
      {page ? (
        <>
          <div className="grid2">
            <section className="card"><h2>{texts.job.details}</h2><Details job={job} /></section>
            <section className="card"><h2>{texts.job.result}</h2><Errors job={job} /><Containers id={job.id} live={live} /></section>
          </div>
          <section className="card"><h2>{texts.job.runs}</h2><RunsTable runs={job.runs} errors={job.errors} /></section>
          <section className="card"><h2>{texts.job.events}</h2><JobEvents id={job.id} live={live} /></section>
          <section className="card"><h2>{texts.job.yaml}</h2><Spec job={job} /></section>
        </>
      ) : (
        <Tabs defaultValue="details" keepMounted={false}>
          <Tabs.List>
            <Tabs.Tab value="details">{texts.job.details}</Tabs.Tab>
            <Tabs.Tab value="runs">{texts.job.runs}</Tabs.Tab>
            <Tabs.Tab value="events">{texts.job.events}</Tabs.Tab>
            <Tabs.Tab value="yaml">{texts.job.yaml}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="details" pt="sm"><Details job={job} /></Tabs.Panel>
          <Tabs.Panel value="runs" pt="sm"><RunsTable runs={job.runs} errors={job.errors} narrow /><div style={{ height: 10 }} /><Errors job={job} /><Containers id={job.id} live={live} /></Tabs.Panel>
          <Tabs.Panel value="events" pt="sm"><JobEvents id={job.id} live={live} /></Tabs.Panel>
          <Tabs.Panel value="yaml" pt="sm"><Spec job={job} /></Tabs.Panel>
        </Tabs>
      )}
    </>
  );
}

function Details({ job }: { job: JobDetail }): ReactElement {
  const { requests } = job;
  return (
    <Pairs
      of={[
        [texts.columns["queue"] ?? "", <QueueLink key="queue" name={job.queue} />],
        [texts.columns["jobSet"] ?? "", <JobSetLink key="set" queue={job.queue} name={job.jobSet} />],
        [texts.columns["owner"] ?? "", job.owner],
        [texts.columns["namespace"] ?? "", job.namespace],
        [texts.job.requests, `${resource("cpu", requests.cpu)} CPU, ${resource("memory", requests.memory)}, ${resource("storage", requests.ephemeralStorage)} disk${requests.gpu > 0 ? `, ${requests.gpu} GPU` : ""}`],
        [texts.columns["priority"] ?? "", `${job.priority}, ${job.priorityClass}${job.preemptible ? " (preemptible)" : ""}`],
        [texts.columns["submitted"] ?? "", <Time key="submitted" at={job.submitted} />],
        [texts.columns["node"] ?? "", job.node && job.cluster ? <span key="node"><NodeLink cluster={job.cluster} node={job.node} /> <span className="muted">{job.cluster}, {job.pool}</span></span> : null],
        ...(job.deadlineSeconds > 0 ? [[texts.job.deadline, texts.job.deadlineOf(duration(job.deadlineSeconds * 1_000))] as const] : []),
        ...(job.gang ? [["Gang", `${job.gang.id}, ${job.gang.cardinality} members${job.gang.uniformityLabel ? ` on equal ${job.gang.uniformityLabel}` : ""}${job.gang.failFast ? ", fails fast" : ", starts again as a whole"}`] as const] : []),
        ...(job.clientId ? [[texts.job.clientId, <span key="client" className="mono">{job.clientId}</span>] as const] : []),
        [texts.job.labels, <Chips key="labels" of={record(job.labels)} />],
        [texts.job.annotations, <Chips key="annotations" of={record(job.annotations)} />],
      ]}
    />
  );
}

function Errors({ job }: { job: JobDetail }): ReactElement {
  if (job.errors.length === 0) return <p className="muted" style={{ margin: 0 }}>{texts.job.noErrors}</p>;
  return (
    <div style={{ display: "grid", gap: 8 }}>
      {[...job.errors].reverse().map((error, index) => (
        <div key={`${error.time} ${index}`}>
          <div className="muted"><Time at={error.time} /> · run {error.attempt + 1} · {error.kind.toLowerCase().replace(/_/g, " ")}{error.code ? ` · ${error.code}` : ""}</div>
          <Message text={error.message} />
        </div>
      ))}
    </div>
  );
}

/** A message of megabytes must not stop the page. */
function Message({ text }: { text: string }): ReactElement {
  const [all, setAll] = useState(false);
  const isLong = text.length > MESSAGE_MAX;
  return (
    <>
      <pre className="pre" tabIndex={0}>{all ? text : text.slice(0, MESSAGE_MAX)}</pre>
      {isLong && !all ? <p className="muted">{texts.job.cutMessage(String(Math.round(text.length / 1024)))} <Button size="compact-xs" variant="subtle" onClick={() => setAll(true)}>{texts.job.showAll}</Button></p> : null}
    </>
  );
}

function Spec({ job }: { job: JobDetail }): ReactElement {
  if (job.podSpec === null || job.podSpec === undefined) return <p className="muted">{texts.job.noSpec}</p>;
  const text = toYaml({
    queue: job.queue,
    jobSet: job.jobSet,
    priority: job.priority,
    priorityClass: job.priorityClass,
    namespace: job.namespace,
    labels: record(job.labels),
    annotations: record(job.annotations),
    podSpec: job.podSpec,
  });
  return (
    <>
      <div className="head">
        <Copy value={text} />
        <Button size="compact-xs" variant="default" leftSection={<IconDownload size={13} aria-hidden />} onClick={() => offer(`${job.id}.yaml`, "application/yaml", [text])}>{texts.job.download}</Button>
      </div>
      <pre className="pre" tabIndex={0} aria-label={texts.job.yaml}>{text}</pre>
    </>
  );
}
