// A node: its room, what runs on it, its labels and taints.
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { NodePageQuery } from "../gql/graphql";
import { amount, percent, resource, whole } from "../lib/format";
import { ActionMenu, filterTarget } from "../parts/jobActions";
import { Answer, Empty, Nothing } from "../parts/outcomes";
import { Chips, Freshness, JobLink, JobSetLink, Pairs, QueueLink, record } from "../parts/pieces";
import { State, StateBar } from "../parts/states";
import { Lasting, Time } from "../parts/times";
import { texts } from "../texts/en";

const NODE = graphql(`
  query NodePage($cluster: String!, $node: String!) {
    node(cluster: $cluster, name: $node) { name pool type labels taints { key value effect } allocatable allocated jobsCount unschedulable lastReported foreign }
    jobs(filter: { cluster: { eq: $cluster }, node: { eq: $node }, states: [LEASED, PENDING, RUNNING] }, first: 200) {
      pageInfo { hasNextPage }
      nodes { id queue jobSet state lastTransition requests { cpu memory gpu } priorityClass }
    }
    jobGroups(filter: { cluster: { eq: $cluster }, node: { eq: $node } }, by: ["queue"], active: true) { nodes { keys { value } count stateCounts { state count } } }
  }
`);
const route = getRouteApi("/clusters/$cluster/nodes/$node");

export function NodePage(): ReactElement {
  const { cluster, node } = route.useParams();
  useTitle(node);
  const polled = usePolled(NODE, { cluster, node }, 3_000);
  return (
    <div className="page">
      <div className="head">
        <div className="crumbs"><Link to="/nodes">{texts.nodes.title}</Link><span aria-hidden>/</span><span>{cluster}</span><span aria-hidden>/</span><h1>{node}</h1></div>
        {polled.data?.node ? <span className="chip" style={polled.data.node.unschedulable ? { color: "var(--FAILED)" } : undefined}>{polled.data.node.unschedulable ? texts.node.cordoned : texts.node.schedulable}</span> : null}
        <span className="spacer" />
        {polled.data?.node ? <ActionMenu label={texts.actions.onNode} disabled={polled.data.jobs.nodes.length === 0 ? texts.actions.nothingLive : ""} target={() => filterTarget({ cluster: { eq: cluster }, node: { eq: node }, states: ["LEASED", "PENDING", "RUNNING"] }, `cluster:${cluster} node:${node} state:leased,pending,running`)} onDone={polled.again} /> : null}
        <Freshness at={polled.at} limitMs={10_000} />
      </div>
      <Answer of={polled} rows={8}>
        {(data) => data.node ? <Body data={data} node={data.node} cluster={cluster} /> : <Empty title={texts.node.gone} hint={texts.node.goneHint} />}
      </Answer>
    </div>
  );
}

function usageOf(value: unknown): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const each of Array.isArray(value) ? value : []) {
    for (const [name, quantity] of Object.entries(record(record(each)["usage"]))) sums[name] = (sums[name] ?? 0) + amount(String(quantity));
  }
  return sums;
}

function Body({ data, node, cluster }: { data: NodePageQuery; node: NonNullable<NodePageQuery["node"]>; cluster: string }): ReactElement {
  const [has, used, foreign] = [record(node.allocatable), record(node.allocated), usageOf(node.foreign)];
  return (
    <>
      <div className="grid2">
        <section className="card scroll-x">
          <h2>{texts.node.room}</h2>
          <table className="table">
            <thead><tr><th>{texts.node.resource}</th><th className="num">{texts.node.allocatable}</th><th className="num">{texts.node.allocated}</th><th className="num">{texts.node.foreign}</th><th className="num">{texts.node.free}</th><th style={{ width: "28%" }}><span className="hidden">{texts.node.allocated}</span></th></tr></thead>
            <tbody>
              {Object.entries(has).sort(([a], [b]) => a.localeCompare(b)).map(([name, quantity]) => {
                // A run holds one pod, though it requests none.
                const requested = name === "pods" ? String(node.jobsCount) : String(used[name] ?? "0");
                const [total, taken, others] = [amount(String(quantity)), amount(requested), foreign[name] ?? 0];
                const share = total > 0 ? Math.min(1, (taken + others) / total) : 0;
                return (
                  <tr key={name}>
                    <td className="nowrap">{name}</td>
                    <td className="num nowrap">{resource(name, String(quantity))}</td>
                    <td className="num nowrap">{resource(name, requested)}</td>
                    <td className="num nowrap">{others === 0 ? texts.common.none : resource(name, String(others))}</td>
                    <td className="num nowrap">{resource(name, String(Math.max(0, total - taken - others)))}</td>
                    <td><div className="statebar" role="img" aria-label={percent(share)} title={percent(share)}><span style={{ flexGrow: 0, flexBasis: `${share * 100}%`, background: "var(--accent)" }} /></div></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </section>
        <section className="card">
          <h2>{texts.node.about}</h2>
          <Pairs of={[
            [texts.nodes.pool, node.pool],
            ...(node.type ? [[texts.node.type, node.type] as const] : []),
            [texts.node.reported, <span key="reported" title={texts.node.reportedHelp}><Time at={node.lastReported} /></span>],
            [texts.node.taints, node.taints.length === 0 ? texts.node.noTaints : <Chips key="taints" of={Object.fromEntries(node.taints.map((taint) => [taint.key, `${taint.value}:${taint.effect}`]))} />],
            [texts.node.labels, <Chips key="labels" of={record(node.labels)} />],
          ]} />
          {data.jobGroups.nodes.length === 0 ? null : (
            <table className="table" style={{ marginTop: 8 }}>
              <thead><tr><th>{texts.node.byQueue}</th><th className="num">{texts.jobs.title}</th><th><span className="hidden">{texts.columns["state"]}</span></th></tr></thead>
              <tbody>
                {data.jobGroups.nodes.map((group) => (
                  <tr key={group.keys[0]?.value ?? ""}><td>{group.keys[0]?.value ? <QueueLink name={group.keys[0].value} /> : texts.common.none}</td><td className="num">{whole(group.count)}</td><td style={{ width: "45%" }}><StateBar counts={group.stateCounts} /></td></tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
      </div>
      <section className="card">
        <h2><span>{texts.node.jobs} <small className="muted">{whole(node.jobsCount)}</small></span><Link to="/jobs" search={{ q: `cluster:${cluster} node:${node.name}` }} style={{ fontWeight: 400, fontSize: 12 }}>{texts.common.all}</Link></h2>
        {data.jobs.nodes.length === 0 ? <Nothing text={texts.jobSet.noneRunning} /> : (
          <div className="scroll-x">
            <table className="table">
              <thead><tr><th>{texts.columns["state"]}</th><th className="num">{texts.columns["timeInState"]}</th><th>{texts.columns["queue"]}</th><th>{texts.columns["jobSet"]}</th><th>{texts.columns["id"]}</th><th className="num">CPU</th><th className="num">Memory</th><th className="num">GPU</th><th>{texts.columns["priorityClass"]}</th></tr></thead>
              <tbody>
                {data.jobs.nodes.map((job) => (
                  <tr key={job.id}>
                    <td><State state={job.state} /></td><td className="num"><Lasting since={job.lastTransition} /></td><td><QueueLink name={job.queue} /></td><td><JobSetLink queue={job.queue} name={job.jobSet} /></td><td><JobLink id={job.id} /></td>
                    <td className="num">{resource("cpu", job.requests.cpu)}</td><td className="num">{resource("memory", job.requests.memory)}</td><td className="num">{job.requests.gpu || texts.common.none}</td><td>{job.priorityClass}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {data.jobs.pageInfo.hasNextPage ? <p className="nothing">{texts.round.limited(data.jobs.nodes.length)}</p> : null}
          </div>
        )}
      </section>
    </>
  );
}
