// Queues: weight, what waits and runs, and shares of each pool.
import { TextInput } from "@mantine/core";
import { useAllowed } from "../app/allowed";
import { IconLock, IconPlus } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { type ReactElement, useState } from "react";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import { percentFixed, whole } from "../lib/format";
import { ENDED } from "../lib/jobQuery";
import { Bullet, BulletLegend, bulletScale } from "../parts/bullet";
import { Answer, Empty } from "../parts/outcomes";
import { Freshness, QueueLink } from "../parts/pieces";
import { QueueForm } from "../parts/queueForm";
import { countOf, StateBar } from "../parts/states";
import { VerbButton } from "../parts/verbButton";
import { texts } from "../texts/en";

const QUEUES = graphql(`
  query Queues {
    queues(first: 200) { pageInfo { hasNextPage } nodes { name weight priorityFactor cordoned stateCounts { state count } } }
    queueShares { pool queue weight fairShare adjustedShare demandShare actualShare }
  }
`);
const route = getRouteApi("/queues");

export function Queues(): ReactElement {
  useTitle(texts.queues.title);
  const { find = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const [typed, setTyped] = useState(find);
  const polled = usePolled(QUEUES, {}, 3_000);
  return (
    <div className="page">
      <div className="head">
        <h1>{texts.queues.title}</h1>
        <TextInput size="xs" w={220} aria-label={texts.queues.filter} placeholder={texts.queues.filter} value={typed} onChange={(event) => { setTyped(event.currentTarget.value); void navigate({ search: { find: event.currentTarget.value || undefined }, replace: true }); }} />
        <span className="spacer" />
        <NewQueue again={polled.again} />
        <Freshness at={polled.at} limitMs={10_000} />
      </div>
      <Answer of={polled} rows={8}>
        {(data) => {
          const scale = bulletScale(data.queueShares);
          const found = data.queues.nodes.filter((queue) => queue.name.includes(find));
          if (found.length === 0) return data.queues.nodes.length === 0 ? <Empty title={texts.queues.emptyTitle} hint={texts.queues.emptyHint} /> : <Empty title={texts.queues.noneFound} />;
          return (
            <div className="card scroll-x">
              <table className="table">
                <thead>
                  <tr>
                    <th>{texts.queues.name}</th><th className="num">{texts.queues.weight}</th><th className="num">{texts.queues.queued}</th><th className="num">{texts.queues.running}</th><th className="num">{texts.queues.ended}</th>
                    <th style={{ width: "14%" }}>{texts.columns["state"]}</th><th>{texts.columns["pool"]}</th><th style={{ width: "26%" }}>{texts.queues.shares}</th><th className="num">{texts.queues.holds}</th><th className="num">{texts.queues.fair}</th>
                  </tr>
                </thead>
                <tbody>
                  {found.flatMap((queue) => {
                    const shares = data.queueShares.filter((share) => share.queue === queue.name);
                    const counts = queue.stateCounts;
                    const rows = shares.length === 0 ? [undefined] : shares;
                    return rows.map((share, index) => (
                      <tr key={`${queue.name} ${share?.pool ?? ""}`}>
                        {index === 0 ? (
                          <>
                            <td><span className="state"><QueueLink name={queue.name} />{queue.cordoned ? <span className="chip" title={texts.queues.cordonedHelp}><IconLock size={12} aria-hidden />{texts.queues.cordoned}</span> : null}</span></td>
                            <td className="num">{Number(queue.weight.toPrecision(3))}</td>
                            <td className="num">{whole(countOf(counts, ["QUEUED"]))}</td>
                            <td className="num">{whole(countOf(counts, ["LEASED", "PENDING", "RUNNING"]))}</td>
                            <td className="num">{whole(countOf(counts, ENDED))}</td>
                            <td><StateBar counts={counts} /></td>
                          </>
                        ) : <td colSpan={6} />}
                        <td>{share?.pool ?? <span className="muted">{texts.common.none}</span>}</td>
                        <td>{share ? <Bullet shares={share} scale={scale} /> : null}</td>
                        <td className="num">{share ? percentFixed(share.actualShare) : texts.common.none}</td>
                        <td className="num">{share ? percentFixed(share.fairShare) : texts.common.none}</td>
                      </tr>
                    ));
                  })}
                </tbody>
              </table>
              <div style={{ padding: "0 8px" }}><BulletLegend /></div>
              {data.queues.pageInfo.hasNextPage ? <p className="nothing">{texts.queues.first(whole(data.queues.nodes.length))}</p> : null}
            </div>
          );
        }}
      </Answer>
    </div>
  );
}

function NewQueue({ again }: { again: () => void }): ReactElement {
  const [open, setOpen] = useState(false);
  const { user, verbs } = useAllowed();
  const navigate = route.useNavigate();
  const why = user === "" || verbs.includes("create_queue") ? "" : texts.queue.mayNotCreate;
  return (
    <>
      <VerbButton size="xs" variant="default" why={why} leftSection={<IconPlus size={14} aria-hidden />} onClick={() => setOpen(true)}>{texts.queue.create}</VerbButton>
      {open ? <QueueForm onClose={(saved) => { setOpen(false); again(); if (saved !== undefined) void navigate({ to: "/queues/$queue", params: { queue: saved }, search: {} }); }} /> : null}
    </>
  );
}
