// Jobs counted by what they have in common; a group opens as a filter.
import { type ReactElement, useMemo } from "react";
import { usePolled } from "../app/polled";
import { graphql } from "../gql";
import type { JobFilter } from "../gql/graphql";
import { whole } from "../lib/format";
import { withKey } from "../lib/jobQuery";
import { texts } from "../texts/en";
import { Answer, Empty } from "./outcomes";
import { isJobState, State, StateBar } from "./states";
import { Time } from "./times";

const GROUPS = graphql(`
  query JobGroups($filter: JobFilter, $by: [String!]!) {
    jobGroups(filter: $filter, by: $by, first: 200) {
      complete
      pageInfo { hasNextPage }
      nodes { keys { field value } count stateCounts { state count } lastTransitionLatest }
    }
  }
`);
const WORDS: Record<string, string> = { jobSet: "set", namespace: "ns", priorityClass: "class", exitCode: "exit", reasonCode: "reason", failureCategory: "failure" };

export function JobGroups({ filter, query, by, onOpen }: { filter: () => JobFilter; query: string; by: readonly string[]; onOpen: (query: string) => void }): ReactElement {
  // The filter is fixed while the page stands: times such as <1h would make it a new question each second.
  const fixed = useMemo(() => filter(), [filter]);
  const polled = usePolled(GROUPS, { filter: fixed, by: [...by] }, 3_000);
  return (
    <div style={{ overflow: "auto", flex: 1, minHeight: 0 }}>
      <Answer of={polled} rows={8}>
        {(data) => {
          const largest = Math.max(1, ...data.jobGroups.nodes.map((group) => group.count));
          if (data.jobGroups.nodes.length === 0) return <Empty title={texts.jobs.emptyTitle} hint={texts.jobs.emptyHint} />;
          return (
            <div className="card">
              <table className="table">
                <thead>
                  <tr>
                    {by.map((key) => <th key={key}>{texts.groups[key] ?? key.replace(/^annotation:/, "")}</th>)}
                    <th className="num">{texts.jobs.title}</th>
                    <th style={{ width: "34%" }}>{texts.columns["state"]}</th>
                    <th className="num">{texts.columns["lastTransition"]}</th>
                  </tr>
                </thead>
                <tbody>
                  {data.jobGroups.nodes.map((group) => (
                    <tr key={group.keys.map((key) => key.value).join("\n")}>
                      {group.keys.map((key, index) => (
                        <td key={key.field}>
                          {index === 0 && key.value ? (
                            <a
                              href={`/jobs?q=${encodeURIComponent(narrowed(query, group.keys))}`}
                              onClick={(event) => {
                                event.preventDefault();
                                onOpen(narrowed(query, group.keys));
                              }}
                            >
                              {isJobState(key.value) ? <State state={key.value} /> : key.value}
                            </a>
                          ) : key.value && isJobState(key.value) ? <State state={key.value} /> : (key.value ?? <span className="muted">{texts.common.none}</span>)}
                        </td>
                      ))}
                      <td className="num">{whole(group.count)}</td>
                      <td><div style={{ width: `${Math.max(6, (group.count / largest) * 100)}%` }}><StateBar counts={group.stateCounts} /></div></td>
                      <td className="num"><Time at={group.lastTransitionLatest} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {data.jobGroups.complete ? null : <p className="muted">{texts.jobs.sampled}</p>}
            </div>
          );
        }}
      </Answer>
    </div>
  );
}

function narrowed(query: string, keys: readonly { field: string; value?: string | null }[]): string {
  return keys.reduce((sum, key) => {
    const word = key.field.startsWith("annotation:") ? `ann.${key.field.slice(11)}` : (WORDS[key.field] ?? key.field);
    return key.value ? withKey(sum, word, [key.field === "state" ? key.value.toLowerCase() : key.value]) : sum;
  }, query);
}
