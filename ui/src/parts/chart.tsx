// A time series on canvas (uPlot, fetched when the first chart is shown); its values as text: the last ones, or those under the pointer.
import "uplot/dist/uPlot.min.css";
import type uPlot from "uplot";
import { type ReactElement, useEffect, useRef, useState } from "react";
import { usePreferences } from "../app/preferences";
import { clock } from "../lib/format";

export interface Series {
  name: string;
  /** a CSS colour or variable: var(--RUNNING) */
  colour: string;
  values: readonly (number | null)[];
  dashed?: boolean;
}

interface Props {
  /** ms since 1970 */
  times: readonly number[];
  series: readonly Series[];
  height?: number;
  unit: (value: number) => string;
  label: string;
  stacked?: boolean;
  log?: boolean;
  /** the top of the scale, at least */
  top?: number;
}

/** about what a character of an axis takes */
const CHAR_PX = 6.2;

function resolved(colour: string): string {
  const name = /^var\((.+)\)$/.exec(colour)?.[1];
  return name === undefined ? colour : getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function stack(series: readonly Series[]): (number | null)[][] {
  const sums: number[] = [];
  return series.map((each) =>
    each.values.map((value, index) => {
      sums[index] = (sums[index] ?? 0) + (value ?? 0);
      return sums[index] ?? null;
    }),
  );
}

/** One series after the other under the same x; stacked ones are drawn from the top sum down, each over the last. */
export function Chart({ times, series, height = 150, unit, label, stacked = false, log = false, top = 0 }: Props): ReactElement {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [under, setUnder] = useState<number | undefined>(undefined);
  const { theme, zone } = usePreferences();
  const drawn = stacked ? [...series].reverse() : series;
  const shape = JSON.stringify([drawn.map((each) => [each.name, each.colour, each.dashed]), height, stacked, log, theme, zone, top]);
  const values = stacked ? stack(series).reverse() : drawn.map((each) => [...each.values]);
  const data = [times.map((time) => time / 1_000), ...values] as unknown as uPlot.AlignedData;
  const latest = useRef(data);
  const format = useRef(unit);
  useEffect(() => {
    latest.current = data;
    format.current = unit;
    plot.current?.setData(data);
  });

  useEffect(() => {
    const host = place.current;
    if (host === null) return undefined;
    let stopped = false;
    let observer: ResizeObserver | undefined;
    void import("uplot").then(({ default: UPlot }) => {
      if (stopped) return;
      const [text, line] = [resolved("var(--muted)"), resolved("var(--line)")];
      const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px 'Inter Variable', sans-serif" };
      plot.current = new UPlot(
        {
          width: Math.max(120, host.clientWidth),
          height,
          legend: { show: false },
          padding: [6, 24, 0, 0],
          hooks: { setCursor: [(self) => setUnder(self.cursor.idx ?? undefined)] },
          cursor: { y: false, drag: { x: false, y: false }, points: { size: 5 } },
          scales: {
            x: { time: true },
            y: log ? { distr: 3 } : { range: (_plot, _min, max) => [0, Math.max(top, max > 0 ? max * 1.08 : 1)] },
          },
          axes: [
            { ...axis, size: 24, space: 70, values: (_plot, ticks) => ticks.map((tick) => clock(tick * 1_000, zone).slice(0, (ticks.at(-1) ?? 0) - (ticks[0] ?? 0) < 240 ? 8 : 5)) },
            { ...axis, size: (_plot, ticks) => 16 + CHAR_PX * Math.max(4, ...(ticks ?? []).map((tick) => tick.length)), space: 26, values: (_plot, ticks) => ticks.map((tick) => (tick === null ? "" : format.current(tick))) },
          ],
          series: [
            {},
            ...drawn.map((each) => {
              const stroke = resolved(each.colour);
              return {
                label: each.name,
                stroke,
                width: stacked ? 1 : 1.5,
                points: { show: false },
                ...(each.dashed ? { dash: [4, 3] } : {}),
                ...(stacked ? { fill: stroke } : {}),
              };
            }),
          ],
        },
        latest.current,
        host,
      );
      observer = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(120, host.clientWidth), height }));
      observer.observe(host);
    });
    return () => {
      stopped = true;
      observer?.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
    // `shape` stands for everything that needs a new plot.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape]);

  const at = under === undefined ? undefined : times[under];
  return (
    <figure style={{ margin: 0 }} aria-label={label}>
      <div ref={place} className="chart" style={{ height }} />
      <figcaption className="legend">
        {at === undefined ? null : <strong className="nowrap">{clock(at, zone)}</strong>}
        {series.map((each) => {
          const value = at === undefined ? each.values.findLast((found) => found !== null) : each.values[under ?? 0];
          return (
            <span key={each.name} className="nowrap">
              <i className={each.dashed ? "dashed" : ""} style={{ background: each.colour, color: each.colour }} />
              {each.name} <b>{value === undefined || value === null ? "" : unit(value)}</b>
            </span>
          );
        })}
      </figcaption>
    </figure>
  );
}
