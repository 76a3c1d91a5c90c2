// Cancelling jobs: what will happen, why, how far it is, and what could not be done.
import { Button, Group, Modal, Progress, TextInput } from "@mantine/core";
import { type ReactElement, useState } from "react";
import { client, troubleOf } from "../app/client";
import { graphql } from "../gql";
import { texts } from "../texts/en";
import { JobLink } from "./pieces";

const CANCEL = graphql(`
  mutation CancelJobs($jobIds: [ID!]!, $reason: String) {
    cancelJobs(jobIds: $jobIds, reason: $reason, waitFor: VISIBLE) {
      affectedCount
      notAffected { id code message }
      errors { code path message }
    }
  }
`);
const AT_ONCE = 500;
const SHOWN_MAX = 8;

interface Outcome {
  done: number;
  refused: { id: string; message: string }[];
  trouble: string;
}

/** `ids`: those that are live; `skipped`: selected ones that have ended. */
export function CancelDialog({ ids, skipped, onClose }: { ids: readonly string[]; skipped: number; onClose: (changed: boolean) => void }): ReactElement {
  const [reason, setReason] = useState("");
  const [sent, setSent] = useState(-1);
  const [outcome, setOutcome] = useState<Outcome | undefined>(undefined);
  const busy = sent >= 0 && outcome === undefined;

  const run = async (): Promise<void> => {
    const result: Outcome = { done: 0, refused: [], trouble: "" };
    for (let at = 0; at < ids.length && result.trouble === ""; at += AT_ONCE) {
      setSent(at);
      const some = ids.slice(at, at + AT_ONCE);
      const { data, error } = await client.mutation(CANCEL, { jobIds: [...some], reason: reason.trim() || null }).toPromise();
      if (error !== undefined) result.trouble = troubleOf(error).message || error.message;
      else if (data) {
        result.done += data.cancelJobs.affectedCount;
        result.refused.push(...data.cancelJobs.notAffected.map((each) => ({ id: each.id, message: each.message })));
        result.trouble = data.cancelJobs.errors[0]?.message ?? "";
      }
    }
    setOutcome(result);
  };

  return (
    <Modal opened onClose={() => (busy ? undefined : onClose(outcome !== undefined))} title={outcome === undefined ? texts.cancel.title(ids.length) : texts.cancel.done(outcome.done)} centered size="md" closeButtonProps={{ "aria-label": texts.common.close }}>
      {outcome === undefined ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void run();
          }}
        >
          <p style={{ marginTop: 0 }}>{texts.cancel.text} {skipped > 0 ? texts.cancel.skipped(skipped) : ""}</p>
          <div className="chips" style={{ marginBottom: 10 }}>
            {ids.slice(0, SHOWN_MAX).map((id) => <span key={id} className="chip mono">…{id.slice(-10)}</span>)}
            {ids.length > SHOWN_MAX ? <span className="chip">+{ids.length - SHOWN_MAX}</span> : null}
          </div>
          <TextInput label={texts.cancel.reason} value={reason} maxLength={500} data-autofocus onChange={(event) => setReason(event.currentTarget.value)} disabled={busy} />
          {busy ? <Progress value={(Math.max(0, sent) / Math.max(1, ids.length)) * 100} mt="sm" aria-label={texts.cancel.progress(sent, ids.length)} /> : null}
          <Group justify="flex-end" mt="md" gap="xs">
            <Button size="xs" variant="default" onClick={() => onClose(false)} disabled={busy}>{texts.cancel.keep}</Button>
            <Button size="xs" color="red.9" type="submit" loading={busy}>{texts.cancel.confirm(ids.length)}</Button>
          </Group>
        </form>
      ) : (
        <>
          {outcome.trouble === "" ? null : <div className="note bad" role="alert">{outcome.trouble.slice(0, 400)}</div>}
          {outcome.refused.length > 0 ? (
            <>
              <p>{texts.cancel.notDone(outcome.refused.length)}:</p>
              <table className="table">
                <tbody>
                  {outcome.refused.slice(0, 50).map((each) => <tr key={each.id}><td><JobLink id={each.id} short /></td><td>{each.message}</td></tr>)}
                </tbody>
              </table>
            </>
          ) : null}
          <Group justify="flex-end" mt="md">
            <Button size="xs" variant="default" data-autofocus onClick={() => onClose(true)}>{texts.common.close}</Button>
          </Group>
        </>
      )}
    </Modal>
  );
}
