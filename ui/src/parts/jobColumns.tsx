// The columns that a list of jobs can have, on the page and in an exported file.
import type { ReactElement } from "react";
import { useNow } from "../app/clock";
import type { JobRow } from "../app/jobWindow";
import { duration, ms, resource, short } from "../lib/format";
import { texts } from "../texts/en";
import { JobLink, JobSetLink, NodeLink, QueueLink, record } from "./pieces";
import { State } from "./states";
import { Lasting, Time } from "./times";
import type { Column } from "./virtualTable";

export interface JobColumn extends Column<JobRow> {
  plain: (row: JobRow) => string;
}

function column(key: string, width: number, plain: (row: JobRow) => string, more: Partial<JobColumn> = {}): JobColumn {
  return { key, title: texts.columns[key] ?? key, width, plain, cell: (row) => plain(row) || <span className="muted">{texts.common.none}</span>, ...more };
}

function RunTime({ row }: { row: JobRow }): ReactElement {
  const now = useNow();
  const run = row.lastRun;
  if (!run?.started) return <span className="muted">{texts.common.none}</span>;
  return <>{duration((run.finished ? ms(run.finished) : Math.max(now, ms(run.started))) - ms(run.started))}</>;
}

function runMs(row: JobRow): string {
  const run = row.lastRun;
  return run?.started && run.finished ? String((ms(run.finished) - ms(run.started)) / 1_000) : "";
}

/** In words where there are words, else the code. */
function reasonOf(row: JobRow): string {
  return row.reason ?? row.reasonCode ?? "";
}

export const JOB_COLUMNS: readonly JobColumn[] = [
  column("state", 112, (row) => row.state, { cell: (row) => <State state={row.state} /> }),
  column("timeInState", 74, (row) => row.lastTransition, { right: true, cell: (row) => <Lasting since={row.lastTransition} /> }),
  column("queue", 118, (row) => row.queue, { cell: (row) => <QueueLink name={row.queue} /> }),
  column("jobSet", 190, (row) => row.jobSet, { grow: true, cell: (row) => <JobSetLink queue={row.queue} name={row.jobSet} /> }),
  column("id", 218, (row) => row.id, { cell: (row) => <JobLink id={row.id} /> }),
  column("submitted", 96, (row) => row.submitted, { right: true, cell: (row) => <Time at={row.submitted} /> }),
  column("cpu", 62, (row) => row.requests.cpu, { right: true, cell: (row) => resource("cpu", row.requests.cpu) }),
  column("memory", 82, (row) => row.requests.memory, { right: true, cell: (row) => resource("memory", row.requests.memory) }),
  column("gpu", 50, (row) => String(row.requests.gpu), { right: true, cell: (row) => (row.requests.gpu === 0 ? <span className="muted">{texts.common.none}</span> : row.requests.gpu) }),
  column("priority", 66, (row) => String(row.priority), { right: true, cell: (row) => short(row.priority) }),
  column("node", 110, (row) => row.node ?? "", { cell: (row) => (row.node && row.cluster ? <NodeLink cluster={row.cluster} node={row.node} /> : <span className="muted">{texts.common.none}</span>) }),
  column("cluster", 90, (row) => row.cluster ?? ""),
  column("pool", 80, (row) => row.pool ?? ""),
  column("runtime", 96, runMs, { right: true, cell: (row) => <RunTime row={row} /> }),
  column("exitCode", 50, (row) => (row.exitCode === null || row.exitCode === undefined ? "" : String(row.exitCode)), { right: true }),
  column("reason", 260, reasonOf, { grow: true, cell: (row) => (reasonOf(row) ? <span title={reasonOf(row).slice(0, 500)}>{reasonOf(row).slice(0, 200)}</span> : <span className="muted">{texts.common.none}</span>) }),
  column("failureCategory", 110, (row) => row.failureCategory ?? ""),
  column("attempt", 66, (row) => String(row.attempt), { right: true }),
  column("owner", 110, (row) => row.owner),
  column("namespace", 100, (row) => row.namespace),
  column("priorityClass", 140, (row) => row.priorityClass),
  column("disk", 82, (row) => row.requests.ephemeralStorage, { right: true, cell: (row) => resource("storage", row.requests.ephemeralStorage) }),
  column("lastTransition", 96, (row) => row.lastTransition, { right: true, cell: (row) => <Time at={row.lastTransition} /> }),
];

export const SHOWN = ["state", "timeInState", "queue", "jobSet", "id", "submitted", "cpu", "memory", "gpu", "node", "exitCode"];
const ANNOTATION = "ann.";

/** Keys of an address; unknown ones are left out, `ann.KEY` is a column of its own. */
export function columnsOf(keys: readonly string[]): JobColumn[] {
  return keys.flatMap((key) => {
    if (key.startsWith(ANNOTATION) && key.length > ANNOTATION.length) {
      const name = key.slice(ANNOTATION.length);
      const value = (row: JobRow): string => String(record(row.annotations)[name] ?? "");
      return [{ ...column(key, 140, value), title: name }];
    }
    return JOB_COLUMNS.filter((each) => each.key === key);
  });
}
