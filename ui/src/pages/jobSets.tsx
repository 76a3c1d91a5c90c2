// Job sets, the latest change first.
import { Select, Switch, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { type ReactElement, useState } from "react";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import { percent, whole } from "../lib/format";
import { ENDED, LIVE } from "../lib/jobQuery";
import { Answer, Empty } from "../parts/outcomes";
import { Freshness, JobSetLink, QueueLink } from "../parts/pieces";
import { countOf, StateBar } from "../parts/states";
import { Time } from "../parts/times";
import { texts } from "../texts/en";

const SETS = graphql(`
  query JobSets($filter: JobFilter, $active: Boolean!) {
    queues(first: 200) { nodes { name } }
    jobGroups(filter: $filter, by: ["queue", "jobSet"], active: $active, first: 100) {
      pageInfo { hasNextPage }
      nodes { keys { field value } count stateCounts { state count } submittedEarliest lastTransitionLatest }
    }
  }
`);
const route = getRouteApi("/sets");

export function JobSets(): ReactElement {
  useTitle(texts.jobSets.title);
  const { queue, name, ended } = route.useSearch();
  const navigate = route.useNavigate();
  const [typed, setTyped] = useState(name ?? "");
  const filter = { ...(queue ? { queues: [queue] } : {}), ...(name ? { jobSet: { startsWith: name } } : {}) };
  const polled = usePolled(SETS, { filter, active: ended !== "yes" }, 3_000);
  return (
    <div className="page">
      <div className="head">
        <h1>{texts.jobSets.title}</h1>
        <Select
          size="xs" w={180} clearable searchable aria-label={texts.queues.name} placeholder={texts.queues.title}
          value={queue ?? null} data={polled.data?.queues.nodes.map((each) => each.name) ?? (queue ? [queue] : [])}
          onChange={(value) => void navigate({ search: (before) => ({ ...before, queue: value ?? undefined }) })}
        />
        <form onSubmit={(event) => { event.preventDefault(); void navigate({ search: (before) => ({ ...before, name: typed.trim() || undefined }) }); }}>
          <TextInput size="xs" w={200} aria-label={texts.jobSets.filter} placeholder={texts.jobSets.filter} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} onBlur={() => void navigate({ search: (before) => ({ ...before, name: typed.trim() || undefined }) })} />
        </form>
        <Switch size="xs" label={texts.jobSets.active} checked={ended !== "yes"} onChange={(event) => void navigate({ search: (before) => ({ ...before, ended: event.currentTarget.checked ? undefined : "yes" }) })} />
        <span className="spacer" />
        <Freshness at={polled.at} limitMs={10_000} />
      </div>
      <Answer of={polled} rows={8}>
        {(data) => data.jobGroups.nodes.length === 0 ? <Empty title={texts.jobSets.emptyTitle} hint={texts.jobSets.emptyHint} /> : (
          <div className="card scroll-x">
            <table className="table">
              <thead>
                <tr>
                  <th>{texts.columns["queue"]}</th><th>{texts.columns["jobSet"]}</th><th className="num">{texts.jobSets.jobs}</th>
                  <th className="num">{texts.states.QUEUED}</th><th className="num">{texts.states.RUNNING}</th><th className="num">{texts.states.SUCCEEDED}</th><th className="num">{texts.states.FAILED}</th>
                  <th style={{ width: "22%" }}>{texts.jobSets.progress}</th><th className="num">{texts.columns["submitted"]}</th><th className="num">{texts.columns["lastTransition"]}</th>
                </tr>
              </thead>
              <tbody>
                {data.jobGroups.nodes.map((group) => {
                  const [queueName, setName] = [group.keys[0]?.value ?? "", group.keys[1]?.value ?? ""];
                  const counts = group.stateCounts;
                  const failed = countOf(counts, ["FAILED", "REJECTED"]);
                  return (
                    <tr key={`${queueName}\n${setName}`}>
                      <td><QueueLink name={queueName} /></td>
                      <td style={{ overflowWrap: "anywhere" }}><JobSetLink queue={queueName} name={setName} /></td>
                      <td className="num">{whole(group.count)}</td>
                      <td className="num">{whole(countOf(counts, ["QUEUED"]))}</td>
                      <td className="num">{whole(countOf(counts, LIVE) - countOf(counts, ["QUEUED"]))}</td>
                      <td className="num">{whole(countOf(counts, ["SUCCEEDED"]))}</td>
                      <td className="num" style={failed > 0 ? { color: "var(--FAILED)" } : undefined}>{whole(failed)}</td>
                      <td>
                        <div style={{ display: "flex", gap: 8, alignItems: "center" }}>
                          <StateBar counts={counts} />
                          <span className="muted num" style={{ minWidth: 44 }}>{percent(group.count === 0 ? 0 : countOf(counts, ENDED) / group.count)}</span>
                        </div>
                      </td>
                      <td className="num"><Time at={group.submittedEarliest} /></td>
                      <td className="num"><Time at={group.lastTransitionLatest} /></td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </Answer>
    </div>
  );
}
