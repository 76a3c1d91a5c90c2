// What a page shows when it has nothing, not yet, not any more, or may not: never a blank page.
import { Button, PasswordInput } from "@mantine/core";
import { IconCloudOff, IconLock, IconMoodEmpty, IconRefreshAlert } from "@tabler/icons-react";
import { Component, type ReactElement, type ReactNode, useState } from "react";
import { setToken, type Trouble } from "../app/client";
import { useNow } from "../app/clock";
import type { Polled } from "../app/polled";
import { age } from "../lib/format";
import { texts } from "../texts/en";

export function Empty({ title, hint, children }: { title: string; hint?: string; children?: ReactNode }): ReactElement {
  return (
    <div className="blank">
      <IconMoodEmpty size={22} stroke={1.5} aria-hidden />
      <strong>{title}</strong>
      {hint ? <span>{hint}</span> : null}
      {children}
    </div>
  );
}

/** A part of a page that has nothing to show, in one line. */
export function Nothing({ text }: { text: string }): ReactElement {
  return <p className="nothing">{text}</p>;
}

export function Loading({ rows = 4 }: { rows?: number }): ReactElement {
  return (
    <div role="status" aria-label={texts.common.loading} style={{ display: "grid", gap: 9, padding: "8px 0" }}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="skeleton" style={{ width: `${92 - ((row * 17) % 40)}%` }} />
      ))}
    </div>
  );
}

export function Problem({ trouble, again }: { trouble: Trouble; again?: () => void }): ReactElement {
  if (trouble.code === "UNAUTHENTICATED") return <SignIn message={trouble.message} />;
  const [Icon, title, hint] =
    trouble.code === "FORBIDDEN"
      ? [IconLock, texts.common.forbidden, `${trouble.message} ${texts.common.forbiddenHint}`]
      : trouble.code === "OFFLINE"
        ? [IconCloudOff, texts.common.offlineNothing, ""]
        : [IconRefreshAlert, texts.common.errorTitles[trouble.code] ?? texts.common.errorTitle, trouble.message];
  return (
    <div className="blank" role="alert">
      <Icon size={22} stroke={1.5} aria-hidden />
      <strong>{title}</strong>
      <span style={{ maxWidth: 640, overflowWrap: "anywhere" }}>{hint.slice(0, 600)}</span>
      {again ? (
        <Button size="xs" variant="default" onClick={again} mt={6}>
          {texts.common.retry}
        </Button>
      ) : null}
    </div>
  );
}

function SignIn({ message }: { message: string }): ReactElement {
  const [value, setValue] = useState("");
  return (
    <form
      className="blank"
      onSubmit={(event) => {
        event.preventDefault();
        setToken(value.trim());
      }}
    >
      <IconLock size={22} stroke={1.5} aria-hidden />
      <strong>{texts.common.unauthenticated}</strong>
      <span>{message}</span>
      <PasswordInput label={texts.common.token} description={texts.common.tokenHint} value={value} onChange={(event) => setValue(event.currentTarget.value)} w={320} autoComplete="off" />
      <Button type="submit" size="xs" disabled={value.trim() === ""} mt={6}>
        {texts.common.signIn}
      </Button>
    </form>
  );
}

/** Figures that were good once and are old now say so. */
export function Staleness({ at, trouble }: { at: number; trouble: Trouble | undefined }): ReactElement | null {
  const now = useNow();
  if (trouble === undefined || at === 0) return null;
  return (
    <div className="note warn" role="status">
      <IconCloudOff size={16} aria-hidden />
      <span>{texts.common.stale(age(now - at))} {trouble.code === "OFFLINE" ? "" : trouble.message.slice(0, 200)}</span>
    </div>
  );
}

/** The usual frame of a polled answer: skeleton, problem, or content with a note when it is stale. */
export function Answer<Data>({
  of,
  children,
  rows = 4,
}: {
  of: Polled<Data>;
  children: (data: Data) => ReactNode;
  rows?: number;
}): ReactElement {
  if (of.data === undefined) return of.trouble === undefined ? <Loading rows={rows} /> : <Problem trouble={of.trouble} again={of.again} />;
  return (
    <>
      <Staleness at={of.at} trouble={of.trouble} />
      {children(of.data)}
    </>
  );
}

/** A page that fails does not take the others with it. */
export class Boundary extends Component<{ children: ReactNode; at: string }, { failure: string; at: string }> {
  override state = { failure: "", at: this.props.at };

  static getDerivedStateFromError(error: unknown): { failure: string } {
    return { failure: error instanceof Error ? error.message : String(error) };
  }

  static getDerivedStateFromProps(props: { at: string }, state: { failure: string; at: string }): { failure: string; at: string } | null {
    return props.at === state.at ? null : { failure: "", at: props.at };
  }

  override render(): ReactNode {
    if (this.state.failure === "") return this.props.children;
    return (
      <div className="page">
        <Empty title={texts.common.crashed} hint={`${texts.common.crashedHint} ${this.state.failure.slice(0, 300)}`}>
          <Button size="xs" variant="default" mt={6} onClick={() => this.setState({ failure: "" })}>
            {texts.common.retry}
          </Button>
        </Empty>
      </div>
    );
  }
}
