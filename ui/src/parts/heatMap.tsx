// Nodes as cells on one canvas: colour by use, a mark for those that take no jobs. Holds 20,000 cells.
import { type KeyboardEvent, type PointerEvent, type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import { usePreferences } from "../app/preferences";

export interface Cell {
  key: string;
  /** 0 to 1; null: the node has nothing of it */
  level: number | null;
  crossed: boolean;
  faded: boolean;
}

interface Props {
  cells: readonly Cell[];
  label: string;
  describe: (index: number) => ReactElement;
  say: (index: number) => string;
  open: (index: number) => void;
}

const GAP = 2;

function cellSize(count: number): number {
  return count <= 300 ? 20 : count <= 1_500 ? 14 : count <= 6_000 ? 9 : 6;
}

function mixed(from: string, to: string, level: number): string {
  const parts = [from, to].map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)));
  return `rgb(${[0, 1, 2].map((at) => Math.round((parts[0]?.[at] ?? 0) * (1 - level) + (parts[1]?.[at] ?? 0) * level)).join(",")})`;
}

export function HeatMap({ cells, label, describe, say, open }: Props): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { theme } = usePreferences();
  const [width, setWidth] = useState(0);
  const [active, setActive] = useState(-1);
  const [pointer, setPointer] = useState<{ x: number; y: number } | undefined>(undefined);
  const size = cellSize(cells.length);
  const columns = Math.max(1, Math.floor((width + GAP) / (size + GAP)));
  const rows = Math.ceil(cells.length / columns);
  const height = Math.max(size, rows * (size + GAP) - GAP);

  useEffect(() => {
    const host = canvas.current?.parentElement;
    if (!host) return undefined;
    const observer = new ResizeObserver(() => setWidth(host.clientWidth));
    observer.observe(host);
    setWidth(host.clientWidth);
    return () => observer.disconnect();
  }, []);

  const scheme = theme === "auto" ? "auto" : theme;
  const drawing = useMemo(() => ({ cells, columns, size, width, height, scheme }), [cells, columns, size, width, height, scheme]);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || drawing.width === 0) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, drawing.width, drawing.height);
    const [cold, hot, none, mark] = [colour("--heat-0"), colour("--heat-1"), colour("--line"), colour("--FAILED")];
    drawing.cells.forEach((cell, index) => {
      const [x, y] = [(index % drawing.columns) * (drawing.size + GAP), Math.floor(index / drawing.columns) * (drawing.size + GAP)];
      context.globalAlpha = cell.faded ? 0.35 : 1;
      if (cell.level === null) {
        context.strokeStyle = none;
        context.lineWidth = 1;
        context.strokeRect(x + 0.5, y + 0.5, drawing.size - 1, drawing.size - 1);
      } else {
        context.fillStyle = mixed(cold, hot, Math.min(1, cell.level));
        context.fillRect(x, y, drawing.size, drawing.size);
      }
      if (cell.crossed) {
        context.strokeStyle = mark;
        context.lineWidth = 1.5;
        context.beginPath();
        context.moveTo(x + 2, y + drawing.size - 2);
        context.lineTo(x + drawing.size - 2, y + 2);
        context.stroke();
      }
      context.globalAlpha = 1;
    });
  }, [drawing]);

  const under = (event: PointerEvent): number => {
    const box = event.currentTarget.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / (size + GAP));
    const index = Math.floor((event.clientY - box.top) / (size + GAP)) * columns + column;
    return column < columns && index < cells.length ? index : -1;
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setPointer(undefined);
      setActive((before) => Math.max(0, Math.min(cells.length - 1, before < 0 ? 0 : before + step)));
    } else if (event.key === "Enter" && active >= 0) open(active);
  };
  const ratio = typeof window === "undefined" ? 1 : window.devicePixelRatio || 1;
  // The mark of the cell under the pointer lies over the canvas: thousands of cells are not drawn anew when it moves.
  const mark = { left: (active % columns) * (size + GAP), top: Math.floor(active / columns) * (size + GAP), width: size, height: size };
  return (
    <div style={{ position: "relative" }}>
      <canvas
        ref={canvas}
        className="map"
        role="application"
        tabIndex={0}
        aria-label={`${label} ${active >= 0 ? say(active) : ""}`}
        width={width * ratio}
        height={height * ratio}
        style={{ width, height, cursor: active >= 0 && pointer ? "pointer" : "default" }}
        onPointerMove={(event) => {
          const index = under(event);
          setActive(index);
          setPointer(index < 0 ? undefined : { x: event.clientX, y: event.clientY });
        }}
        onPointerLeave={() => {
          setActive(-1);
          setPointer(undefined);
        }}
        onClick={() => active >= 0 && open(active)}
        onKeyDown={onKey}
      />
      {active >= 0 ? <span className="cell-mark" style={mark} aria-hidden /> : null}
      {pointer !== undefined && active >= 0 ? (
        <div className="tip" style={{ left: Math.min(pointer.x + 14, window.innerWidth - 230), top: Math.min(pointer.y + 14, window.innerHeight - 150) }}>
          {describe(active)}
        </div>
      ) : null}
    </div>
  );
}
