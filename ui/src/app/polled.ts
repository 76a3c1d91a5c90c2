// A query that is asked again while somebody looks: what it last answered, how old that is, and what went wrong.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { AnyVariables } from "urql";
import { client, type Trouble, troubleOf } from "./client";
import { useHidden } from "./clock";

export interface Polled<Data> {
  data: Data | undefined;
  /** ms since 1970 of the last good answer; 0: none yet */
  at: number;
  trouble: Trouble | undefined;
  again: () => void;
}

const RETRY_MS = 2_000;

/** `everyMs` 0: asked once. Variables must be plain data. Nothing is asked while the tab is hidden or `pause` is true. */
export function usePolled<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  everyMs: number,
  pause = false,
): Polled<Data> {
  const key = JSON.stringify(variables);
  const [state, setState] = useState<{ key: string; data: Data | undefined; at: number; trouble: Trouble | undefined }>({
    key,
    data: undefined,
    at: 0,
    trouble: undefined,
  });
  const hidden = useHidden();
  const [asked, setAsked] = useState(0);
  const again = useCallback(() => setAsked((count) => count + 1), []);
  const stable = useMemo(() => JSON.parse(key) as Variables, [key]);
  const at = useRef({ key: "", time: 0 });

  useEffect(() => {
    if (pause || hidden) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const ask = async (): Promise<void> => {
      const answer = await client.query(document, stable, { requestPolicy: "network-only" }).toPromise();
      if (stopped) return;
      const { data, error } = answer;
      if (data !== undefined && error === undefined) {
        at.current = { key, time: Date.now() };
        setState({ key, data, at: at.current.time, trouble: undefined });
      } else if (error !== undefined) {
        const trouble = troubleOf(error);
        setState((before) => (before.key === key ? { ...before, trouble } : { key, data: undefined, at: 0, trouble }));
      }
      const isFinal = error !== undefined && ["INVALID", "FORBIDDEN", "UNAUTHENTICATED", "NOT_FOUND"].includes(troubleOf(error).code);
      const wait = error === undefined ? everyMs : isFinal ? 0 : RETRY_MS;
      if (wait > 0) timer = setTimeout(() => void ask(), wait);
    };
    // A tab that was shown again soon keeps its rhythm.
    const age = at.current.key === key ? Date.now() - at.current.time : Number.POSITIVE_INFINITY;
    if (asked === 0 && age < everyMs) timer = setTimeout(() => void ask(), everyMs - age);
    else void ask();
    return () => {
      stopped = true;
      if (timer !== undefined) clearTimeout(timer);
    };
  }, [document, stable, key, everyMs, pause, hidden, asked]);

  const current = state.key === key ? state : { data: undefined, at: 0, trouble: undefined };
  return { data: current.data, at: current.at, trouble: current.trouble, again };
}
