// A job set as it goes on: its latest events, and that its counts have changed.
import { useCallback, useEffect, useRef, useState } from "react";
import { type StreamBatch, type StreamEvent, useEventStream, type Stream } from "./eventStream";

const FEED_MAX = 60;
const DRAW_MS = 250;

export interface Progress {
  feed: readonly StreamEvent[];
  /** events taken since the counts were read */
  changes: number;
  stream: Stream;
}

/** `cursor`: of the first snapshot. What changed is told so that the caller reads the counts again. */
export function useSetProgress(queue: string, jobSet: string, cursor: string | undefined, pause: boolean): Progress {
  const [shown, setShown] = useState<{ feed: readonly StreamEvent[]; changes: number }>({ feed: [], changes: 0 });
  const gathered = useRef<{ feed: StreamEvent[]; changes: number }>({ feed: [], changes: 0 });
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const draw = useCallback(() => {
    timer.current = undefined;
    setShown({ feed: gathered.current.feed, changes: gathered.current.changes });
  }, []);
  const take = useCallback((batch: StreamBatch) => {
    if (batch.events.length === 0) return;
    const held = gathered.current;
    held.feed = [...[...batch.events].reverse(), ...held.feed].slice(0, FEED_MAX);
    held.changes += batch.events.length;
    timer.current ??= setTimeout(draw, DRAW_MS);
  }, [draw]);
  useEffect(() => {
    gathered.current = { feed: [], changes: 0 };
    setShown({ feed: [], changes: 0 });
    return () => {
      if (timer.current !== undefined) clearTimeout(timer.current);
      timer.current = undefined;
    };
  }, [queue, jobSet]);
  const stream = useEventStream(queue, jobSet, cursor, pause, take);
  return { ...shown, stream };
}
