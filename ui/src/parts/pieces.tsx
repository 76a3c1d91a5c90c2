// Small pieces that many pages use.
import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy, IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { ReactElement, ReactNode } from "react";
import { useNow } from "../app/clock";
import { age } from "../lib/format";
import { texts } from "../texts/en";

export function Copy({ value }: { value: string }): ReactElement {
  return (
    <CopyButton value={value} timeout={1_200}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? texts.common.copied : texts.common.copy} withArrow>
          <ActionIcon size="xs" variant="subtle" color="gray" onClick={copy} aria-label={`${texts.common.copy} ${value.slice(0, 40)}`}>
            {copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

export function Pairs({ of }: { of: readonly (readonly [string, ReactNode])[] }): ReactElement {
  return (
    <dl className="kv">
      {of.map(([key, value]) => (
        <div key={key} style={{ display: "contents" }}>
          <dt>{key}</dt>
          <dd>{value === null || value === undefined || value === "" ? <span className="muted">{texts.common.none}</span> : value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Chips({ of }: { of: Record<string, unknown> }): ReactElement {
  const entries = Object.entries(of);
  if (entries.length === 0) return <span className="muted">{texts.common.none}</span>;
  return (
    <span className="chips">
      {entries.map(([key, value]) => (
        <span key={key} className="chip mono">
          {key}={String(value)}
        </span>
      ))}
    </span>
  );
}

export function JobLink({ id, short = false }: { id: string; short?: boolean }): ReactElement {
  return (
    <Link to="/jobs/$jobId" params={{ jobId: id }} className="mono nowrap" title={id}>
      {short ? `…${id.slice(-10)}` : id}
    </Link>
  );
}

export function QueueLink({ name }: { name: string }): ReactElement {
  return (
    <Link to="/queues/$queue" params={{ queue: name }} search={{}}>
      {name}
    </Link>
  );
}

export function JobSetLink({ queue, name }: { queue: string; name: string }): ReactElement {
  return (
    <Link to="/queues/$queue/sets/$jobSet" params={{ queue, jobSet: name }}>
      {name}
    </Link>
  );
}

export function NodeLink({ cluster, node }: { cluster: string; node: string }): ReactElement {
  return (
    <Link to="/clusters/$cluster/nodes/$node" params={{ cluster, node }} title={`${cluster} / ${node}`}>
      {node}
    </Link>
  );
}

export function PauseButton({ paused, onChange }: { paused: boolean; onChange: (paused: boolean) => void }): ReactElement {
  const label = paused ? texts.common.resume : texts.common.pause;
  return (
    <Tooltip label={label} withArrow>
      <ActionIcon variant={paused ? "filled" : "default"} color="teal.9" aria-label={label} aria-pressed={paused} onClick={() => onChange(!paused)}>
        {paused ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />}
      </ActionIcon>
    </Tooltip>
  );
}

/** How old what one sees is. Nothing while it is fresh, so that the eye is not drawn to it. */
export function Freshness({ at, limitMs = 5_000 }: { at: number; limitMs?: number }): ReactElement | null {
  const now = useNow();
  if (at === 0) return null;
  const old = now - at;
  return <span className={old > limitMs ? "" : "muted"} style={{ fontSize: 12 }}>{texts.common.updated(old < 1_500 ? "now" : `${age(old)} ago`)}</span>;
}

/** In words where there are words: a reason that somebody gave, else what the cluster said last, else the code. */
export function whatWentWrong(job: { reason?: string | null; reasonCode?: string | null; errors: readonly { message: string }[] }): string {
  return job.reason || job.errors.at(-1)?.message || job.reasonCode || texts.common.none;
}

export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
