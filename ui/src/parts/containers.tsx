// The containers of a job's last pod, as its cluster saw them last.
import type { ReactElement } from "react";
import { usePolled } from "../app/polled";
import { graphql } from "../gql";
import { texts } from "../texts/en";
import { ExitCode } from "./exitCode";
import { record } from "./pieces";
import { Lasting, Time } from "./times";

const CONTAINERS = graphql(`
  query JobContainers($id: ID!) { job(id: $id) { id events { id attempt containers } } }
`);
const LIVE_EVERY_MS = 3_000;
const MESSAGE_MAX = 500;

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Nothing while no report named any. */
export function Containers({ id, live }: { id: string; live: boolean }): ReactElement | null {
  const { data } = usePolled(CONTAINERS, { id }, live ? LIVE_EVERY_MS : 0);
  const last = data?.job?.events.findLast((event) => (event.containers?.length ?? 0) > 0);
  const containers = (last?.containers ?? []).map(record);
  if (containers.length === 0) return null;
  return (
    <div className="scroll-x" style={{ marginTop: 10 }}>
      <table className="table">
        <thead><tr><th>{texts.containers.name}</th><th>{texts.columns["state"]}</th><th className="num">{texts.columns["exitCode"]}</th><th className="num">{texts.containers.started}</th><th className="num">{texts.columns["runtime"]}</th></tr></thead>
        <tbody>
          {containers.map((each, index) => {
            const [reason, message, started, finished] = [text(each["reason"]), text(each["message"]), text(each["started"]), text(each["finished"])];
            const code = each["exitCode"];
            return (
              <tr key={`${text(each["name"])} ${index}`}>
                <td>{text(each["name"])}{each["init"] === true ? <span className="muted"> {texts.containers.init}</span> : null}</td>
                <td style={{ overflowWrap: "anywhere" }}>{(texts.containers.states[text(each["state"])] ?? text(each["state"])) || texts.common.none}{reason === "" ? "" : `: ${reason}`}{message === "" ? null : <span className="muted"> {message.slice(0, MESSAGE_MAX)}</span>}</td>
                <td className="num"><ExitCode code={typeof code === "number" ? code : null} /></td>
                <td className="num"><Time at={started || null} /></td>
                <td className="num">{started === "" ? texts.common.none : <Lasting since={started} end={finished || null} exact />}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
