// Holding a queue's jobs back, and letting them go again.
import { Button, Group, Modal } from "@mantine/core";
import { IconLock, IconLockOpen } from "@tabler/icons-react";
import { type ReactElement, useState } from "react";
import { client, troubleOf } from "../app/client";
import { graphql } from "../gql";
import { texts } from "../texts/en";
import { VerbButton } from "./verbButton";

const CORDON = graphql(`
  mutation CordonQueue($name: String!, $cordoned: Boolean!) { cordonQueues(names: [$name], cordoned: $cordoned, waitFor: VISIBLE) { errors { code message } } }
`);
const words = texts.cordon;

export function CordonButton({ queue, cordoned, why, again }: { queue: string; cordoned: boolean; why: string; again: () => void }): ReactElement {
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const run = async (): Promise<void> => {
    setBusy(true);
    const { data, error } = await client.mutation(CORDON, { name: queue, cordoned: !cordoned }).toPromise();
    setBusy(false);
    const said = error === undefined ? (data?.cordonQueues.errors[0]?.message ?? "") : troubleOf(error).message || troubleOf(error).code;
    setTrouble(said);
    if (said === "") setOpen(false);
    again();
  };
  const verb = cordoned ? words.release : words.hold;
  const Icon = cordoned ? IconLockOpen : IconLock;
  return (
    <>
      <VerbButton size="xs" variant="default" why={why} leftSection={<Icon size={14} aria-hidden />} onClick={() => { setTrouble(""); setOpen(true); }}>{verb}</VerbButton>
      <Modal opened={open} onClose={() => setOpen(false)} centered title={cordoned ? words.releaseTitle(queue) : words.holdTitle(queue)} closeButtonProps={{ "aria-label": texts.common.close }}>
        <p style={{ marginTop: 0 }}>{cordoned ? words.releaseText : texts.queues.cordonedHelp}</p>
        {trouble === "" ? null : <div className="note bad" role="alert">{trouble.slice(0, 400)}</div>}
        <Group justify="flex-end" mt="md" gap="xs">
          <Button size="xs" variant="default" onClick={() => setOpen(false)} disabled={busy}>{texts.actions.keep}</Button>
          <Button size="xs" color="teal.9" data-autofocus loading={busy} onClick={() => void run()}>{verb}</Button>
        </Group>
      </Modal>
    </>
  );
}
