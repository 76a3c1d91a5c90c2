// Points of the API as columns that charts draw. Pure.
import { ms } from "./format";

export interface SharePointLike {
  time: string;
  queue: string;
  actualShare: number;
  fairShare: number;
  adjustedShare: number;
  demandShare: number;
}

export interface ShareSeries {
  times: number[];
  byQueue: Map<string, SharePointLike[]>;
}

/** Shares on a regular grid: between two reports the first one holds; before the first one a queue has nothing. */
export function shareGrid(points: readonly SharePointLike[], begin: number, end: number, stepMs: number): { times: number[]; queues: Map<string, (SharePointLike | null)[]> } {
  const times: number[] = [];
  for (let at = begin - (begin % stepMs); at <= end; at += stepMs) times.push(at);
  const reports = new Map<number, SharePointLike[]>();
  const queues = new Map<string, (SharePointLike | null)[]>();
  for (const point of points) {
    const at = ms(point.time);
    const slot = Math.max(0, Math.min(times.length - 1, Math.ceil((at - (times[0] ?? 0)) / stepMs)));
    reports.set(slot, [...(reports.get(slot) ?? []), point]);
    if (!queues.has(point.queue)) queues.set(point.queue, []);
  }
  const held = new Map<string, SharePointLike>();
  times.forEach((_, slot) => {
    for (const point of reports.get(slot) ?? []) held.set(point.queue, point);
    for (const [queue, values] of queues) values.push(held.get(queue) ?? null);
  });
  return { times, queues };
}

/** Colours of queues in stacks: far apart, the same for a name while the set of names is the same. */
const COLOURS = ["#2a7f9e", "#d1853b", "#6a9a4b", "#9a6bb5", "#c2576b", "#4b79c9", "#8a8f3c", "#3f9e8c", "#b56f9a", "#7d7468"];

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "#888888";
}
