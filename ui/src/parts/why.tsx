// Why a job waits, as the latest round of the scheduler saw it.
import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { usePolled } from "../app/polled";
import { graphql } from "../gql";
import { resource, whole } from "../lib/format";
import { texts } from "../texts/en";
import { Answer } from "./outcomes";
import { Pairs, record } from "./pieces";
import { Time } from "./times";

const EXPLAIN = graphql(`
  query Explain($id: ID!) {
    explain(jobId: $id) {
      summary ahead aheadComplete queuePosition roundId pool roundTime shortfall suggestions
      constraint { code message }
      nodes { reason nodes }
      history { roundId pool time reason }
    }
  }
`);

export function Why({ id }: { id: string }): ReactElement {
  const polled = usePolled(EXPLAIN, { id }, 3_000);
  return (
    <section className="card" style={{ borderColor: "var(--accent)" }} aria-label={texts.job.why}>
      <h2>{texts.job.why}</h2>
      <Answer of={polled} rows={3}>
        {({ explain }) => {
          const shortfall = Object.entries(record(explain.shortfall));
          const most = Math.max(1, ...explain.nodes.map((each) => each.nodes));
          return (
            <>
              <p style={{ margin: "0 0 8px", fontWeight: 550 }}>{explain.summary}</p>
              <Pairs
                of={[
                  [texts.job.placeInQueue, explain.queuePosition === null || explain.queuePosition === undefined ? null : texts.job.queuePosition(whole(explain.queuePosition), !explain.aheadComplete)],
                  ...(explain.constraint ? [["Reason", texts.reasons[explain.constraint.code] ?? explain.constraint.code] as const] : []),
                  ...(shortfall.length > 0 ? [[texts.job.shortfall, shortfall.map(([name, quantity]) => `${resource(name, String(quantity))} ${name}`).join(", ")] as const] : []),
                  ...(explain.roundId ? [["Round", <Link key="round" to="/rounds/$roundId" params={{ roundId: explain.roundId }}><Time at={explain.roundTime} /></Link>] as const] : []),
                ]}
              />
              {explain.nodes.length > 0 ? (
                <table className="table" style={{ marginTop: 6 }}>
                  <caption className="hidden">{texts.job.nodesThatDont}</caption>
                  <tbody>
                    {explain.nodes.map((each) => (
                      <tr key={each.reason}>
                        <td className="num" style={{ width: 64 }}>{whole(each.nodes)}</td>
                        <td style={{ width: 90 }} aria-hidden><div style={{ height: 6, borderRadius: 3, background: "var(--PENDING)", width: `${(each.nodes / most) * 100}%` }} /></td>
                        <td>{each.reason}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              ) : null}
              {explain.suggestions.map((each) => <p key={each} style={{ margin: "6px 0 0" }}>{each}</p>)}
            </>
          );
        }}
      </Answer>
    </section>
  );
}
