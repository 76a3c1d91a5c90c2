// A table of any length: only the rows in sight are drawn; rows keep their order while their contents change, and their place on
// the screen while others before them come and go.
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactElement, type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from "react";

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
  /** rows before these that are not held now; `onStart` is called when they come into sight */
  offset?: number;
  onStart?: () => void;
  /** rows that are drawn as such that do not belong here any more, and what is said of them */
  faded?: ReadonlySet<string>;
  fadedHint?: string;
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
  const { columns, rows, rowKey, selected, select, onEnd, onStart, onVisible } = props;
  const offset = props.offset ?? 0;
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const base = useId();
  const virtual = useVirtualizer({ count: offset + rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 12 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const first = items[0]?.index ?? 0;

  useEffect(() => {
    if (rows.length > 0 && last >= offset + rows.length - NEAR_END) onEnd();
  }, [last, offset, rows.length, onEnd]);
  useEffect(() => {
    if (rows.length > 0 && offset > 0 && first < offset + NEAR_END) onStart?.();
  }, [first, offset, rows.length, onStart]);
  useEffect(() => {
    onVisible?.(rows.slice(Math.max(0, first - offset), Math.max(0, last + 1 - offset)).map(rowKey));
  }, [first, last, offset, rows, rowKey, onVisible]);
  // Where fewer or more rows turn out to be before these than was thought, the row in sight stays where it is.
  const held = useRef<{ key: string; index: number } | undefined>(undefined);
  useLayoutEffect(() => {
    const before = held.current;
    if (before !== undefined) {
      const at = rows.findIndex((row) => rowKey(row) === before.key);
      const moved = at < 0 ? 0 : offset + at - before.index;
      if (moved !== 0 && scroller.current !== null && scroller.current.scrollTop > 0) scroller.current.scrollTop += moved * ROW_PX;
      if (moved !== 0) setActive((index) => Math.max(0, index + moved));
    }
    const anchor = rows[0];
    held.current = anchor === undefined ? undefined : { key: rowKey(anchor), index: offset };
  }, [offset, rows, rowKey]);

  const toggle = (key: string): void => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    select(next);
  };
  const move = (to: number): void => {
    const index = Math.max(offset, Math.min(offset + rows.length - 1, to));
    setActive(index);
    virtual.scrollToIndex(index);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows[active - offset];
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 300) / ROW_PX) - 2);
    const moves: Record<string, number> = { j: active + 1, ArrowDown: active + 1, k: active - 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: offset + rows.length - 1 };
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
          const row = rows[item.index - offset];
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
              title={props.faded?.has(key) ? props.fadedHint : undefined}
              style={{ transform: `translateY(${item.start}px)`, fontStyle: props.faded?.has(key) ? "italic" : undefined, minWidth: `max(100%, ${width}px)` }}
              onClick={(event) => {
                setActive(item.index);
                if (!(event.target as HTMLElement).closest("a, button, input")) props.open(row);
              }}
            >
              <span className="vcell pick" role="gridcell" style={{ width: 34 }}>
                <input type="checkbox" tabIndex={-1} checked={selected.has(key)} onChange={() => toggle(key)} aria-label={key} />
              </span>
              {columns.map((column) => (
                <span key={column.key} role="gridcell" data-column={column.key} className={`vcell ${column.right ? "num" : ""} ${column.grow ? "grow" : ""}`} style={{ width: column.width }}>
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
