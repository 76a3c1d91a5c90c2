// The buttons for what one may do to some jobs or to all of a filter; each says why it is off when it is.
import { Button, Menu } from "@mantine/core";
import { IconArrowsSort, IconChevronDown, IconHandStop, IconTrendingDown } from "@tabler/icons-react";
import { type ReactElement, useEffect, useRef, useState } from "react";
import { type QueueVerb, useAllowed } from "../app/allowed";
import type { JobVerb, Target } from "../app/jobVerbs";
import type { JobFilter, JobState } from "../gql/graphql";
import { LIVE } from "../lib/jobQuery";
import { texts } from "../texts/en";
import { ActionDialog } from "./actionDialog";
import { VerbButton } from "./verbButton";

export const VERBS: readonly JobVerb[] = ["CANCEL", "REPRIORITIZE", "PREEMPT"];
const ICONS = { CANCEL: IconHandStop, REPRIORITIZE: IconArrowsSort, PREEMPT: IconTrendingDown };
const QUEUE_VERBS: Record<JobVerb, QueueVerb> = { CANCEL: "cancel", REPRIORITIZE: "reprioritize", PREEMPT: "preempt" };

export interface ActionJob {
  id: string;
  queue: string;
  state: JobState;
  priority: number;
  /** absent where a list does not know it: then the preview tells */
  preemptible?: boolean;
}

/** Why nothing would come of it for any of these jobs; "" when it would for one. Pure. */
export function pointless(verb: JobVerb, jobs: readonly ActionJob[]): string {
  const live = jobs.filter((job) => (LIVE as readonly string[]).includes(job.state));
  if (live.length === 0) return texts.actions.noneLive(jobs.length);
  if (verb !== "PREEMPT") return "";
  const active = live.filter((job) => job.state !== "QUEUED");
  if (active.length === 0) return texts.actions.noneActive(jobs.length);
  return active.every((job) => job.preemptible === false) ? texts.actions.nonePreemptible(jobs.length) : "";
}

interface JobsProps {
  jobs: readonly ActionJob[];
  /** called when something was done to them */
  onDone: () => void;
  /** whether c on the table asks to cancel them */
  keyed?: boolean;
}

/** For jobs that were chosen one by one, or the one that is shown. */
export function JobActions({ jobs, onDone, keyed = false }: JobsProps): ReactElement {
  const [open, setOpen] = useState<{ verb: JobVerb; target: Target; priority: number | undefined } | undefined>(undefined);
  const allowed = useAllowed();
  const queues = [...new Set(jobs.map((job) => job.queue))];
  const why = (verb: JobVerb): string => pointless(verb, jobs) || allowed.why(QUEUE_VERBS[verb], queues);
  // Whom it concerns is fixed when it is asked for: rows go on changing under the dialog.
  const begin = (verb: JobVerb): void => setOpen({ verb, target: { kind: "ids", ids: jobs.map((job) => job.id) }, priority: jobs.length === 1 ? jobs[0]?.priority : undefined });
  const cancel = useRef((): void => undefined);
  useEffect(() => {
    cancel.current = () => { if (why("CANCEL") === "") begin("CANCEL"); };
  });
  useEffect(() => {
    if (!keyed) return undefined;
    const onKey = (event: KeyboardEvent): void => {
      const isOnTable = event.target instanceof Element && event.target.matches("[role=grid]");
      if (event.key !== "c" || !isOnTable || event.ctrlKey || event.metaKey || event.altKey) return;
      // Else the letter would be the first one of the reason.
      event.preventDefault();
      cancel.current();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [keyed]);
  return (
    <>
      {VERBS.map((verb) => (
        <VerbButton key={verb} size="compact-xs" why={why(verb)} {...(verb === "CANCEL" ? { color: "red.9" } : { variant: "default" })} onClick={() => begin(verb)}>
          {texts.actions[verb].button}
        </VerbButton>
      ))}
      {open ? <ActionDialog verb={open.verb} target={open.target} {...(open.priority === undefined ? {} : { priority: open.priority })} onClose={(changed) => { setOpen(undefined); if (changed) onDone(); }} /> : null}
    </>
  );
}

/** For everything that a filter matches, or for a job set. */
export function ActionMenu({ target, queues = [], label, onDone, disabled = "" }: { target: () => Target; queues?: readonly string[]; label: string; onDone: () => void; disabled?: string }): ReactElement {
  const [open, setOpen] = useState<{ verb: JobVerb; target: Target } | undefined>(undefined);
  const allowed = useAllowed();
  return (
    <>
      <Menu position="bottom-end" withArrow width={290} withinPortal={false} withInitialFocusPlaceholder={false}>
        <Menu.Target>
          <Button size="xs" variant="default" rightSection={<IconChevronDown size={13} aria-hidden />}>{label}</Button>
        </Menu.Target>
        <Menu.Dropdown>
          {VERBS.map((verb) => {
            const Icon = ICONS[verb];
            const why = disabled || allowed.why(QUEUE_VERBS[verb], queues);
            return (
              <Menu.Item key={verb} leftSection={<Icon size={14} aria-hidden />} aria-disabled={why !== ""} className={why === "" ? "" : "off"} closeMenuOnClick={why === ""} onClick={() => { if (why === "") setOpen({ verb, target: target() }); }}>
                {texts.actions[verb].button}…
                {why === "" ? null : <span className="why">{why}</span>}
              </Menu.Item>
            );
          })}
        </Menu.Dropdown>
      </Menu>
      {open ? <ActionDialog verb={open.verb} target={open.target} onClose={(changed) => { setOpen(undefined); if (changed) onDone(); }} /> : null}
    </>
  );
}

/** What a filter is called in a dialog. */
export function filterTarget(filter: JobFilter, query: string): Target {
  return { kind: "filter", filter, query };
}
