// Every event of a job with its time and its place in the log.
import type { ReactElement } from "react";
import { usePolled } from "../app/polled";
import { usePreferences } from "../app/preferences";
import { graphql } from "../gql";
import { absolute, ms, whole } from "../lib/format";
import { texts } from "../texts/en";
import { Answer } from "./outcomes";
import { JobLink } from "./pieces";
import { isJobState, StateIcon } from "./states";

const EVENTS = graphql(`
  query JobEvents($id: ID!) {
    job(id: $id) { id events { id kind terminal time attempt cluster node requestor reason reasonCode exitCode priority preemptedBy } }
  }
`);

export function JobEvents({ id, live }: { id: string; live: boolean }): ReactElement {
  const polled = usePolled(EVENTS, { id }, live ? 2_000 : 0);
  const { zone } = usePreferences();
  return (
    <Answer of={polled} rows={5}>
      {(data) => (
        <div className="scroll-x">
          <table className="table">
            <thead><tr><th>Time</th><th>Event</th><th className="num" title="run">#</th><th>What</th><th>{texts.job.position}</th></tr></thead>
            <tbody>
              {(data.job?.events ?? []).map((event) => (
                <tr key={event.id}>
                  <td className="nowrap">{absolute(ms(event.time), zone, true).slice(11)}</td>
                  <td className="nowrap">
                    <span className="state">{isJobState(event.kind) ? <StateIcon state={event.kind} /> : null}{words(event.kind)}</span>
                  </td>
                  <td className="num">{event.kind === "SUBMITTED" || event.kind === "QUEUED" ? "" : event.attempt + 1}</td>
                  <td style={{ overflowWrap: "anywhere" }}>
                    {[event.node ? `${event.cluster ?? ""} / ${event.node}` : "", event.reason?.slice(0, 300) ?? event.reasonCode ?? "", event.exitCode === null || event.exitCode === undefined ? "" : `exit ${event.exitCode}`, event.kind === "REPRIORITIZED" && event.priority !== null && event.priority !== undefined ? texts.job.newPriority(whole(event.priority)) : "", event.requestor ? `by ${event.requestor}` : ""].filter(Boolean).join(" · ") || (event.preemptedBy ? "" : <span className="muted">{texts.common.none}</span>)}
                    {event.preemptedBy ? <> for <JobLink id={event.preemptedBy} short /></> : null}
                  </td>
                  <td className="mono muted nowrap" title="partition-offset-ordinal">{event.id}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Answer>
  );
}

export function words(kind: string): string {
  const text = kind.toLowerCase().replace(/_/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
