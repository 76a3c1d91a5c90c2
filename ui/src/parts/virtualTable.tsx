// A table of any length: only the rows in sight are drawn; rows keep their order while their contents change.
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactElement, type ReactNode, useEffect, useId, useRef, useState } from "react";

export interface Column<Row> {
  key: string;
  title: string;
  width: number;
  right?: boolean;
  grow?: boolean;
  cell: (row: Row) => ReactNode;
}

interface Props<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  open: (row: Row) => void;
  opened?: string | undefined;
  selected: ReadonlySet<string>;
  select: (keys: ReadonlySet<string>) => void;
  /** called when the last rows come into sight */
  onEnd: () => void;
  onVisible?: (keys: readonly string[]) => void;
  onKey?: (key: string) => boolean;
  foot: ReactNode;
}

const ROW_PX = 30;
const NEAR_END = 20;

export function VirtualTable<Row>(props: Props<Row>): ReactElement {
  const { columns, rows, rowKey, selected, select, onEnd, onVisible } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const base = useId();
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 12 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const first = items[0]?.index ?? 0;

  useEffect(() => {
    if (rows.length > 0 && last >= rows.length - NEAR_END) onEnd();
  }, [last, rows.length, onEnd]);
  useEffect(() => {
    onVisible?.(rows.slice(first, last + 1).map(rowKey));
  }, [first, last, rows, rowKey, onVisible]);

  const toggle = (key: string): void => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    select(next);
  };
  const move = (to: number): void => {
    const index = Math.max(0, Math.min(rows.length - 1, to));
    setActive(index);
    virtual.scrollToIndex(index);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows[active];
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 300) / ROW_PX) - 2);
    const moves: Record<string, number> = { j: active + 1, ArrowDown: active + 1, k: active - 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: rows.length - 1 };
    const to = moves[event.key];
    if (to !== undefined) move(to);
    else if (event.key === "Enter" && row !== undefined) props.open(row);
    else if ((event.key === "x" || event.key === " ") && row !== undefined) toggle(rowKey(row));
    else if (!props.onKey?.(event.key)) return;
    event.preventDefault();
  };
  const width = columns.reduce((sum, column) => sum + column.width, 34);

  return (
    <div
      ref={scroller}
      className="vtable"
      role="grid"
      aria-label={props.label}
      aria-rowcount={-1}
      aria-multiselectable
      aria-activedescendant={rows.length > 0 && active >= first && active <= last ? `${base}-${active}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div className="vhead" role="row" style={{ minWidth: `max(100%, ${width}px)` }}>
        <span className="vcell pick" role="columnheader" style={{ width: 34 }}>
          <span className="hidden">Selected</span>
        </span>
        {columns.map((column) => (
          <span key={column.key} role="columnheader" className={`vcell ${column.right ? "num" : ""} ${column.grow ? "grow" : ""}`} style={{ width: column.width }}>
            {column.title}
          </span>
        ))}
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative", minWidth: width }}>
        {items.map((item) => {
          const row = rows[item.index];
          if (row === undefined) return null;
          const key = rowKey(row);
          return (
            <div
              key={key}
              id={`${base}-${item.index}`}
              role="row"
              aria-rowindex={item.index + 2}
              aria-selected={selected.has(key)}
              className={`vrow ${item.index === active ? "active" : ""} ${props.opened === key ? "open" : ""}`}
              style={{ transform: `translateY(${item.start}px)`, minWidth: `max(100%, ${width}px)` }}
              onClick={(event) => {
                setActive(item.index);
                if (!(event.target as HTMLElement).closest("a, button, input")) props.open(row);
              }}
            >
              <span className="vcell pick" role="gridcell" style={{ width: 34 }}>
                <input type="checkbox" tabIndex={-1} checked={selected.has(key)} onChange={() => toggle(key)} aria-label={key} />
              </span>
              {columns.map((column) => (
                <span key={column.key} role="gridcell" className={`vcell ${column.right ? "num" : ""} ${column.grow ? "grow" : ""}`} style={{ width: column.width }}>
                  {column.cell(row)}
                </span>
              ))}
            </div>
          );
        })}
      </div>
      <div role="row">
        <div role="gridcell">{props.foot}</div>
      </div>
    </div>
  );
}
