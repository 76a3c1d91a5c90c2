// A queue's settings as a form: to change a queue or to make one. What the server refuses stands at its field.
import { ActionIcon, Button, Group, Modal, NumberInput, TagsInput, Textarea, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { type ReactElement, useState } from "react";
import { client, troubleOf } from "../app/client";
import { graphql } from "../gql";
import { changeOf, EMPTY, fieldOf, inputOf, type QueueDraft, wrongFields } from "../lib/queueEdit";
import { texts } from "../texts/en";

const UPDATE = graphql(`
  mutation UpdateQueue($queue: QueueInput!) { done: updateQueues(queues: [$queue], waitFor: VISIBLE) { errors { code path message } } }
`);
const CREATE = graphql(`
  mutation CreateQueue($queue: QueueInput!) { done: createQueues(queues: [$queue], waitFor: VISIBLE) { errors { code path message } } }
`);
const FACTOR_MAX = 1e9;
const words = texts.queueForm;

interface Props {
  /** undefined: a new queue */
  draft?: QueueDraft;
  /** the name of the queue that was saved; undefined: nothing was */
  onClose: (saved: string | undefined) => void;
}

export function QueueForm({ draft: given, onClose }: Props): ReactElement {
  const [before] = useState(given ?? EMPTY);
  const [draft, setDraft] = useState(before);
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [refused, setRefused] = useState<ReadonlyMap<string, string>>(new Map());
  const wrong = wrongFields(draft);
  const set = (change: Partial<QueueDraft>): void => setDraft((now) => ({ ...now, ...change }));
  const problem = (field: string): string | undefined => refused.get(field) ?? (tried && (wrong as string[]).includes(field) ? words.wrong[field] : undefined);
  const save = async (): Promise<void> => {
    setTried(true);
    if (wrong.length > 0) return;
    setBusy(true);
    const { data, error } = given === undefined ? await client.mutation(CREATE, { queue: inputOf(draft) }).toPromise() : await client.mutation(UPDATE, { queue: changeOf(before, draft) }).toPromise();
    setBusy(false);
    const faults = error === undefined ? (data?.done.errors ?? []) : [{ path: "", message: troubleOf(error).message || troubleOf(error).code }];
    setRefused(new Map(faults.map((each) => [fieldOf(each.path), each.message])));
    if (faults.length === 0) onClose(draft.name.trim());
  };
  const factor = Number(draft.priorityFactor);
  const others = [...refused].filter(([field]) => !KNOWN.includes(field)).map(([, message]) => message);
  return (
    <Modal opened onClose={() => (busy ? undefined : onClose(undefined))} centered size="lg" title={given === undefined ? words.newTitle : words.title(before.name)} closeButtonProps={{ "aria-label": texts.common.close }}>
      <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
        {given === undefined ? <TextInput label={texts.queues.name} value={draft.name} maxLength={253} data-autofocus error={problem("name")} onChange={(event) => set({ name: event.currentTarget.value })} mb="sm" /> : null}
        <NumberInput label={texts.queue.factor} description={words.factorHelp(factor >= 1 ? String(Number((1 / factor).toPrecision(3))) : texts.common.none)} value={draft.priorityFactor} onChange={(priorityFactor) => set({ priorityFactor })} min={1} max={FACTOR_MAX} data-autofocus={given === undefined ? undefined : true} error={problem("priorityFactor")} />
        <TagsInput mt="sm" label={texts.queue.owners} description={words.listHelp} value={[...draft.owners]} onChange={(owners) => set({ owners })} error={problem("owners")} />
        <TagsInput mt="sm" label={texts.queue.groupOwners} value={[...draft.groupOwners]} onChange={(groupOwners) => set({ groupOwners })} error={problem("groupOwners")} />
        <Caps draft={draft} set={set} problem={problem("resourceLimitsByPriorityClass")} />
        <Textarea mt="sm" label={texts.queue.labels} description={words.labelsHelp} autosize minRows={2} maxRows={6} styles={{ input: { fontFamily: "var(--mono)" } }} value={draft.labels} onChange={(event) => set({ labels: event.currentTarget.value })} error={problem("labels")} />
        {others.map((message) => <div key={message} className="note bad" role="alert" style={{ marginTop: 10 }}>{message.slice(0, 400)}</div>)}
        <Group justify="flex-end" mt="md" gap="xs">
          <Button size="xs" variant="default" onClick={() => onClose(undefined)} disabled={busy}>{words.discard}</Button>
          <Button size="xs" color="teal.9" type="submit" loading={busy}>{given === undefined ? words.create : words.save}</Button>
        </Group>
      </form>
    </Modal>
  );
}

const KNOWN: readonly string[] = ["name", "priorityFactor", "owners", "groupOwners", "resourceLimitsByPriorityClass", "labels"];

function Caps({ draft, set, problem }: { draft: QueueDraft; set: (change: Partial<QueueDraft>) => void; problem: string | undefined }): ReactElement {
  const change = (at: number, part: Partial<QueueDraft["caps"][number]>): void => set({ caps: draft.caps.map((cap, index) => (index === at ? { ...cap, ...part } : cap)) });
  return (
    <fieldset className="caps">
      <legend>{texts.queue.caps}</legend>
      <p className="muted">{words.capsHelp}</p>
      {draft.caps.map((cap, index) => (
        <div key={index} className="cap">
          <TextInput size="xs" aria-label={words.capClass} placeholder={words.capClass} value={cap.priorityClass} onChange={(event) => change(index, { priorityClass: event.currentTarget.value })} />
          <TextInput size="xs" aria-label={texts.node.resource} placeholder={words.capResource} value={cap.resource} onChange={(event) => change(index, { resource: event.currentTarget.value })} />
          <NumberInput size="xs" aria-label={words.capPercent} min={0} max={100} suffix=" %" value={cap.percent} onChange={(percent) => change(index, { percent })} />
          <ActionIcon variant="subtle" color="gray" aria-label={words.capRemove} onClick={() => set({ caps: draft.caps.filter((_, at) => at !== index) })}><IconX size={14} /></ActionIcon>
        </div>
      ))}
      <Button size="compact-xs" variant="default" leftSection={<IconPlus size={12} aria-hidden />} onClick={() => set({ caps: [...draft.caps, { priorityClass: "", resource: "cpu", percent: 50 }] })}>{words.capAdd}</Button>
      {problem === undefined ? null : <p role="alert" style={{ color: "var(--FAILED)", margin: "4px 0 0" }}>{problem}</p>}
    </fieldset>
  );
}
