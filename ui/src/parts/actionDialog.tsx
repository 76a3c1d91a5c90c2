// Cancelling, preempting or reprioritizing jobs: how many it concerns and whom not, why it is done, how far it is, what came of it.
import { Button, Checkbox, Group, Modal, NumberInput, Progress, TextInput } from "@mantine/core";
import { type ReactElement, useEffect, useRef, useState } from "react";
import { carryOut, type JobVerb, type Outcome, preview, type Preview, type Target } from "../app/jobVerbs";
import { whole } from "../lib/format";
import { texts } from "../texts/en";
import { Loading } from "./outcomes";
import { JobLink } from "./pieces";
import { StateBar, StateIcon } from "./states";

const CHIPS_MAX = 6;
const REFUSED_SHOWN = 100;
/** So many jobs of a filter, which nobody has seen one by one, are confirmed once more. */
const SURE_FROM = 1_000;
const PRIORITY_MAX = 1e9;

interface Props {
  verb: JobVerb;
  target: Target;
  /** the priority that the form begins with */
  priority?: number;
  /** whether something was done */
  onClose: (changed: boolean) => void;
}

export function ActionDialog({ verb, target, priority, onClose }: Props): ReactElement {
  const words = texts.actions[verb];
  const [outcome, setOutcome] = useState<Outcome | undefined>(undefined);
  const [asked, setAsked] = useState(-1);
  const busy = asked >= 0 && outcome === undefined;
  const wantsStop = useRef(false);
  const found = usePreview(verb, target);
  const run = async (reason: string, wished: number): Promise<void> => {
    setAsked(0);
    setOutcome(await carryOut({ verb, target, reason, priority: wished }, (so_far) => { setAsked(so_far); return !wantsStop.current; }));
  };
  const title = outcome === undefined ? words.title(target.kind === "ids" ? target.ids.length : 0) : words.done(outcome.done);
  return (
    <Modal opened onClose={() => (busy ? undefined : onClose(outcome !== undefined))} title={title} centered size="lg" closeButtonProps={{ "aria-label": texts.common.close }}>
      {outcome === undefined ? (
        <>
          <What target={target} />
          <p className="muted" style={{ margin: "8px 0" }}>{words.text}</p>
          <PreviewCard verb={verb} found={found.preview} problem={found.problem} again={found.again} />
          <Form verb={verb} target={target} preview={found.preview} priority={priority ?? 0} busy={busy} onKeep={() => onClose(false)} onRun={run} />
          {busy ? <Doing asked={asked} of={found.preview?.count ?? 0} onStop={() => { wantsStop.current = true; }} /> : null}
        </>
      ) : <Result outcome={outcome} onClose={() => onClose(true)} />}
    </Modal>
  );
}

function usePreview(verb: JobVerb, target: Target): { preview: Preview | undefined; problem: string; again: () => void } {
  const [state, setState] = useState<{ preview: Preview | undefined; problem: string }>({ preview: undefined, problem: "" });
  const [round, setRound] = useState(0);
  // The target is fixed while the dialog stands: rows that change under it must not change what was asked.
  const fixed = useRef(target);
  useEffect(() => {
    let stopped = false;
    preview(verb, fixed.current).then(
      (found) => { if (!stopped) setState({ preview: found, problem: "" }); },
      (problem: unknown) => { if (!stopped) setState({ preview: undefined, problem: problem instanceof Error ? problem.message : String(problem) }); },
    );
    return () => { stopped = true; };
  }, [verb, round]);
  return { ...state, again: () => { setState({ preview: undefined, problem: "" }); setRound((count) => count + 1); } };
}

function What({ target }: { target: Target }): ReactElement {
  if (target.kind === "set") return <div className="chips"><span className="chip mono">{target.queue} / {target.jobSet}</span></div>;
  if (target.kind === "filter") return <div>{target.query === "" ? texts.actions.ofAll : <>{texts.actions.ofFilter} <code className="chip mono">{target.query}</code></>}</div>;
  return (
    <div className="chips">
      {target.ids.slice(0, CHIPS_MAX).map((id) => <span key={id} className="chip mono" title={id}>…{id.slice(-10)}</span>)}
      {target.ids.length > CHIPS_MAX ? <span className="chip">+{whole(target.ids.length - CHIPS_MAX)}</span> : null}
    </div>
  );
}

function PreviewCard({ verb, found, problem, again }: { verb: JobVerb; found: Preview | undefined; problem: string; again: () => void }): ReactElement {
  if (problem !== "") return <div className="note bad" role="alert"><span style={{ flex: 1 }}>{texts.actions.noPreview} {problem.slice(0, 300)}</span><Button size="compact-xs" variant="default" onClick={again}>{texts.common.retry}</Button></div>;
  if (found === undefined) return <Loading rows={2} />;
  const left = found.refused.filter((each) => each.count > 0);
  return (
    <section aria-label={texts.actions.preview} className="preview">
      <p style={{ margin: "0 0 6px", fontWeight: 600 }}>{texts.actions[verb].will(whole(found.touched), found.touched)}{found.complete ? "" : ` ${texts.actions.atLeast(whole(found.count))}`}</p>
      {found.touched > 0 ? (
        <>
          <StateBar counts={found.stateCounts} />
          <div className="legend">{found.stateCounts.filter((each) => each.count > 0).map(({ state, count }) => <span key={state} className="state"><StateIcon state={state} size={13} />{texts.states[state]} {whole(count)}</span>)}</div>
        </>
      ) : null}
      {left.length > 0 ? (
        <>
          <p style={{ margin: "8px 0 2px" }}>{texts.actions.leftOut}</p>
          <table className="table"><tbody>{left.map((each) => <tr key={each.message}><td className="num" style={{ width: 70 }}>{whole(each.count)}</td><td>{each.message}</td></tr>)}</tbody></table>
        </>
      ) : null}
    </section>
  );
}

interface FormProps {
  verb: JobVerb;
  target: Target;
  preview: Preview | undefined;
  priority: number;
  busy: boolean;
  onKeep: () => void;
  onRun: (reason: string, priority: number) => Promise<void>;
}

function Form({ verb, target, preview: found, priority, busy, onKeep, onRun }: FormProps): ReactElement {
  const words = texts.actions[verb];
  const [reason, setReason] = useState("");
  const [wished, setWished] = useState<number | string>(priority);
  const [sure, setSure] = useState(false);
  const touched = found?.touched ?? 0;
  const mustBeSure = target.kind === "filter" && touched >= SURE_FROM;
  const isNumber = typeof wished === "number" && Number.isFinite(wished);
  const ready = touched > 0 && (!mustBeSure || sure) && (verb !== "REPRIORITIZE" || isNumber);
  return (
    <form onSubmit={(event) => { event.preventDefault(); if (ready && !busy) void onRun(reason, Number(wished)); }}>
      {verb === "REPRIORITIZE" ? (
        <NumberInput mt="sm" label={texts.actions.priority} description={texts.actions.priorityHelp} value={wished} onChange={setWished} min={0} max={PRIORITY_MAX} allowDecimal={false} data-autofocus disabled={busy} error={isNumber ? undefined : texts.actions.priorityWrong} />
      ) : null}
      <TextInput mt="sm" label={texts.actions.reason} value={reason} maxLength={500} data-autofocus={verb === "REPRIORITIZE" ? undefined : true} onChange={(event) => setReason(event.currentTarget.value)} disabled={busy} />
      {mustBeSure ? <Checkbox mt="sm" size="xs" label={texts.actions.sure(whole(touched))} checked={sure} onChange={(event) => setSure(event.currentTarget.checked)} disabled={busy} /> : null}
      <Group justify="flex-end" mt="md" gap="xs">
        <Button size="xs" variant="default" onClick={onKeep} disabled={busy}>{texts.actions.keep}</Button>
        <Button size="xs" color={verb === "REPRIORITIZE" ? "teal.9" : "red.9"} type="submit" loading={busy} disabled={!ready}>{words.confirm(whole(touched), touched)}</Button>
      </Group>
    </form>
  );
}

function Doing({ asked, of, onStop }: { asked: number; of: number; onStop: () => void }): ReactElement {
  const label = texts.actions.progress(whole(asked), whole(of));
  return (
    <div style={{ display: "flex", gap: 10, alignItems: "center", marginTop: 10 }}>
      <Progress style={{ flex: 1 }} value={of === 0 ? 0 : Math.min(100, (asked / of) * 100)} aria-label={label} />
      <span className="muted nowrap" role="status">{label}</span>
      <Button size="compact-xs" variant="default" onClick={onStop}>{texts.actions.stop}</Button>
    </div>
  );
}

function Result({ outcome, onClose }: { outcome: Outcome; onClose: () => void }): ReactElement {
  const shown = outcome.refused.slice(0, REFUSED_SHOWN);
  return (
    <>
      {outcome.trouble === "" ? null : <div className="note bad" role="alert" style={{ overflowWrap: "anywhere" }}>{outcome.trouble.slice(0, 400)}</div>}
      {outcome.stopped ? <div className="note warn" role="status">{texts.actions.stopped}</div> : null}
      {shown.length > 0 ? (
        <>
          <p>{texts.actions.notDone(whole(outcome.refused.length), outcome.refused.length)}</p>
          <div style={{ maxHeight: 280, overflow: "auto" }} tabIndex={0} role="region" aria-label={texts.actions.notDone(whole(outcome.refused.length), outcome.refused.length)}>
            <table className="table"><tbody>{shown.map((each) => <tr key={each.id}><td><JobLink id={each.id} short /></td><td>{each.message}</td></tr>)}</tbody></table>
          </div>
          {outcome.refused.length > shown.length ? <p className="nothing">{texts.round.limited(shown.length)}</p> : null}
        </>
      ) : null}
      <Group justify="flex-end" mt="md"><Button size="xs" variant="default" data-autofocus onClick={onClose}>{texts.common.close}</Button></Group>
    </>
  );
}
