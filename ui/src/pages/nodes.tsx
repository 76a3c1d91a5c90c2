// Every node as a cell, by cluster.
import { SegmentedControl, Select } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactElement, useMemo } from "react";
import { useNow } from "../app/clock";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { NodeMapQuery } from "../gql/graphql";
import { ago, ms, percent, short, whole } from "../lib/format";
import { type Cell, HeatMap } from "../parts/heatMap";
import { Answer, Empty } from "../parts/outcomes";
import { Freshness, Pairs } from "../parts/pieces";
import { texts } from "../texts/en";

const MAP = graphql(`
  query NodeMap($pool: String) {
    pools { name nodes }
    clusters { name lastHeard nodeCount }
    nodeCells(pool: $pool) { cluster name pool unschedulable tainted lastReported jobs cpu cpuUsed memory memoryUsed gpu gpuUsed }
  }
`);
type Node = NodeMapQuery["nodeCells"][number];
type Measure = "cpu" | "memory" | "gpu" | "jobs";
const SILENT_MS = 60_000;
const route = getRouteApi("/nodes");

export function Nodes(): ReactElement {
  useTitle(texts.nodes.title);
  const { by = "cpu", pool } = route.useSearch();
  const navigate = route.useNavigate();
  const polled = usePolled(MAP, { pool: pool ?? null }, 3_000);
  return (
    <div className="page">
      <div className="head">
        <h1>{texts.nodes.title}</h1>
        <SegmentedControl size="xs" aria-label={texts.nodes.colour} value={by} onChange={(value) => void navigate({ search: (before) => ({ ...before, by: value === "cpu" ? undefined : (value as "memory") }), replace: true })} data={Object.entries(texts.nodes.measures).map(([value, label]) => ({ value, label }))} />
        <Select size="xs" w={150} aria-label={texts.nodes.pool} placeholder={texts.nodes.allPools} clearable value={pool ?? null} data={polled.data?.pools.map((each) => each.name) ?? (pool ? [pool] : [])} onChange={(value) => void navigate({ search: (before) => ({ ...before, pool: value ?? undefined }), replace: true })} />
        <span className="spacer" />
        <Scale by={by} />
        <Freshness at={polled.at} limitMs={10_000} />
      </div>
      <Answer of={polled} rows={8}>
        {(data) => data.nodeCells.length === 0 ? <Empty title={texts.nodes.emptyTitle} hint={texts.nodes.emptyHint} /> : <Clusters data={data} by={by} />}
      </Answer>
    </div>
  );
}

function Scale({ by }: { by: Measure }): ReactElement {
  return (
    <span className="state muted" style={{ fontWeight: 400, fontSize: 12 }}>
      0 <span aria-hidden style={{ width: 80, height: 10, borderRadius: 2, background: "linear-gradient(90deg, var(--heat-0), var(--heat-1))" }} /> {by === "jobs" ? "most" : "100 %"}
      <svg width="12" height="12" aria-hidden style={{ marginLeft: 8 }}><rect width="12" height="12" fill="var(--heat-0)" /><path d="M2 10 10 2" stroke="var(--FAILED)" strokeWidth="1.5" /></svg> {texts.nodes.cordoned}
      {by === "gpu" ? <><svg width="12" height="12" aria-hidden style={{ marginLeft: 8 }}><rect x="0.5" y="0.5" width="11" height="11" fill="none" stroke="var(--muted)" /></svg> {texts.nodes.without}</> : null}
      <svg width="12" height="12" aria-hidden style={{ marginLeft: 8 }}><rect width="12" height="12" fill="var(--heat-1)" opacity="0.35" /></svg> <span title={texts.nodes.silentHelp}>{texts.nodes.silent}</span>
    </span>
  );
}

function level(node: Node, by: Measure, mostJobs: number): number | null {
  if (by === "jobs") return node.jobs / Math.max(1, mostJobs);
  const [has, used] = by === "cpu" ? [node.cpu, node.cpuUsed] : by === "memory" ? [node.memory, node.memoryUsed] : [node.gpu, node.gpuUsed];
  return has > 0 ? used / has : null;
}

function Clusters({ data, by }: { data: NodeMapQuery; by: Measure }): ReactElement {
  const groups = useMemo(() => {
    const found = new Map<string, Node[]>();
    for (const node of data.nodeCells) {
      const list = found.get(node.cluster);
      if (list === undefined) found.set(node.cluster, [node]);
      else list.push(node);
    }
    return [...found];
  }, [data]);
  const mostJobs = useMemo(() => data.nodeCells.reduce((most, node) => Math.max(most, node.jobs), 0), [data]);
  return (
    <>
      {groups.map(([cluster, nodes]) => <ClusterCard key={cluster} cluster={cluster} nodes={nodes} by={by} mostJobs={mostJobs} heard={data.clusters.find((each) => each.name === cluster)?.lastHeard} />)}
    </>
  );
}

function ClusterCard({ cluster, nodes, by, mostJobs, heard }: { cluster: string; nodes: readonly Node[]; by: Measure; mostJobs: number; heard: string | undefined }): ReactElement {
  const now = useNow();
  const navigate = route.useNavigate();
  const isSilent = heard !== undefined && now - ms(heard) > SILENT_MS;
  const cells: Cell[] = useMemo(
    () => nodes.map((node) => ({ key: node.name, level: level(node, by, mostJobs), crossed: node.unschedulable, faded: isSilent })),
    [nodes, by, mostJobs, isSilent],
  );
  const sum = (pick: (node: Node) => number): number => nodes.reduce((all, node) => all + pick(node), 0);
  const parts = [
    ["CPU", sum((n) => n.cpuUsed), sum((n) => n.cpu), ""],
    ["memory", sum((n) => n.memoryUsed), sum((n) => n.memory), " GiB"],
    ["GPU", sum((n) => n.gpuUsed), sum((n) => n.gpu), ""],
  ] as const;
  const open = (index: number): void => {
    const node = nodes[index];
    if (node) void navigate({ to: "/clusters/$cluster/nodes/$node", params: { cluster, node: node.name } });
  };
  return (
    <section className="card">
      <h2>
        <span>
          <Link to="/jobs" search={{ q: `cluster:${cluster} state:live` }}>{cluster}</Link> <small className="muted">{texts.nodes.count(whole(nodes.length))}, {whole(sum((n) => n.jobs))} jobs</small>
        </span>
        <small style={isSilent ? { color: "var(--warn)" } : undefined} className={isSilent ? "" : "muted"}>
          {parts.filter(([, , has]) => has > 0).map(([name, used, has, unit]) => `${name} ${short(Math.round(used))} / ${short(Math.round(has))}${unit} (${percent(used / has)})`).join("  ·  ")}
          {heard ? `  ·  ${texts.nodes.heard} ${ago(now - ms(heard))}` : ""}
        </small>
      </h2>
      <HeatMap
        cells={cells}
        label={texts.nodes.map(cluster)}
        open={open}
        say={(index) => { const node = nodes[index]; return node ? `${node.name}, ${node.jobs} jobs, CPU ${percent(node.cpu > 0 ? node.cpuUsed / node.cpu : 0)}${node.unschedulable ? `, ${texts.nodes.cordoned}` : ""}` : ""; }}
        describe={(index) => { const node = nodes[index]; return node ? <Tip node={node} /> : <span />; }}
      />
    </section>
  );
}

function Tip({ node }: { node: Node }): ReactElement {
  return (
    <>
      <strong>{node.name}</strong>{node.unschedulable ? ` · ${texts.nodes.cordoned}` : ""}
      <Pairs of={[
        ["Pool", node.pool],
        ["Jobs", whole(node.jobs)],
        ["CPU", `${Number(node.cpuUsed.toFixed(1))} / ${node.cpu}`],
        ["Memory", `${Math.round(node.memoryUsed)} / ${Math.round(node.memory)} GiB`],
        ...(node.gpu > 0 ? [["GPU", `${node.gpuUsed} / ${node.gpu}`] as const] : []),
      ]} />
    </>
  );
}
