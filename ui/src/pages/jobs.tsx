// The list of jobs: one query box, everything in the address, rows that stay where they are while they change.
import { ActionIcon, Button, Checkbox, Menu, Popover, Select, TextInput, Tooltip } from "@mantine/core";
import { IconColumns3, IconDownload, IconPlayerPause, IconPlayerPlay, IconX } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { type ReactElement, useCallback, useEffect, useMemo, useState } from "react";
import { ARRIVED_MAX } from "../app/jobRows";
import { type JobRow, type Order, useJobWindow } from "../app/jobWindow";
import { usePolled } from "../app/polled";
import { useTitle } from "../app/shell";
import { graphql } from "../gql";
import type { JobState } from "../gql/graphql";
import { short, whole } from "../lib/format";
import { parseQuery, STATES, valuesOf, withKey } from "../lib/jobQuery";
import { exportJobs } from "../parts/exportJobs";
import { columnsOf, JOB_COLUMNS, SHOWN } from "../parts/jobColumns";
import { ActionMenu, filterTarget, JobActions } from "../parts/jobActions";
import { JobGroups } from "../parts/jobGroups";
import { JobView } from "../parts/jobView";
import { Empty, Loading, Problem, Staleness } from "../parts/outcomes";
import { Freshness } from "../parts/pieces";
import { QueryBox } from "../parts/queryBox";
import { StateIcon } from "../parts/states";
import { VirtualTable } from "../parts/virtualTable";
import { texts } from "../texts/en";
import { lists } from "../texts/lists";

const COUNTS = graphql(`
  query JobStates($filter: JobFilter) {
    jobGroups(filter: $filter, by: ["state"], first: 20) { complete nodes { count keys { value } } }
  }
`);
const NAMES = graphql(`
  query FilterNames {
    queues(first: 200) { nodes { name } }
    clusters { name }
    pools { name }
  }
`);
const route = getRouteApi("/jobs");
const rowKey = (row: JobRow): string => row.id;

export function Jobs(): ReactElement {
  useTitle(texts.jobs.title);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const query = search.q ?? "";
  const order: Order = useMemo(() => ({ field: search.order ?? "ID", direction: search.dir ?? "DESC" }), [search.order, search.dir]);
  const [paused, setPaused] = useState(false);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const filter = useCallback(() => parseQuery(query, Date.now()).filter, [query]);
  const jobs = useJobWindow(`${query} ${order.field} ${order.direction}`, filter, order, paused);
  const names = usePolled(NAMES, {}, 60_000);
  const known = useMemo(
    () => ({
      queue: names.data?.queues.nodes.map((each) => each.name) ?? [],
      cluster: names.data?.clusters.map((each) => each.name) ?? [],
      pool: names.data?.pools.map((each) => each.name) ?? [],
    }),
    [names.data],
  );
  const keys = search.cols?.split(",") ?? SHOWN;
  const columns = useMemo(() => columnsOf(search.cols?.split(",") ?? SHOWN), [search.cols]);
  const go = useCallback((change: Partial<typeof search>) => void navigate({ search: (before) => ({ ...before, ...change }), replace: true }), [navigate]);
  const setQuery = useCallback((q: string) => { setSelected(new Set()); go({ q: q || undefined }); }, [go]);
  const openJob = useCallback((row: JobRow) => go({ job: row.id }), [go]);
  const closeJob = useCallback(() => { go({ job: undefined }); document.querySelector<HTMLElement>("[role=grid]")?.focus(); }, [go]);
  useEffect(() => {
    const onEscape = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && search.job && !document.querySelector("[role=dialog]") && !(event.target as HTMLElement | null)?.closest("input")) closeJob();
    };
    document.addEventListener("keydown", onEscape);
    return () => document.removeEventListener("keydown", onEscape);
  }, [search.job, closeJob]);

  const chosen = jobs.rows.filter((row) => selected.has(row.id));

  return (
    <div className="page full">
      <div className="head">
        <h1>{texts.jobs.title}</h1>
        <QueryBox value={query} onChange={setQuery} names={known} />
        <Select
          size="xs" w={176} aria-label={texts.jobs.order} allowDeselect={false}
          value={`${order.field}:${order.direction}`}
          data={Object.entries(lists.orders).map(([value, label]) => ({ value, label }))}
          onChange={(value) => { const [field, dir] = (value ?? "").split(":"); go({ order: field === "ID" ? undefined : (field as typeof search.order), dir: dir === "ASC" ? "ASC" : undefined }); }}
        />
        <Select
          size="xs" w={142} aria-label={texts.jobs.groupBy} placeholder={texts.jobs.noGroup} clearable
          value={search.by ?? null}
          data={[...Object.entries(texts.groups).map(([value, label]) => ({ value, label: `By ${label.toLowerCase()}` })), { value: "queue,state", label: "By queue, state" }, { value: "reasonCode,exitCode", label: "By reason, exit code" }]}
          onChange={(value) => go({ by: value ?? undefined })}
        />
        <ColumnChooser keys={keys} onChange={(next) => go({ cols: next.join(",") === SHOWN.join(",") ? undefined : next.join(",") })} />
        <Export filter={filter} order={order} columns={columns} />
        <ActionMenu label={texts.actions.onFilter} target={() => filterTarget(filter(), query)} onDone={jobs.again} />
        <Tooltip label={paused ? texts.common.resume : texts.common.pause} withArrow>
          <ActionIcon variant={paused ? "filled" : "default"} aria-label={paused ? texts.common.resume : texts.common.pause} aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />}
          </ActionIcon>
        </Tooltip>
      </div>
      <StateChips query={query} onChange={setQuery} paused={paused} />
      {search.by ? <JobGroups filter={filter} query={query} by={search.by.split(",")} onOpen={(q) => go({ q, by: undefined })} /> : (
        <div className="split">
          <div className="main">
            <Staleness at={jobs.at} trouble={jobs.rows.length > 0 ? jobs.trouble : undefined} />
            <VirtualTable
              label={texts.jobs.title} columns={columns} rows={jobs.rows} rowKey={rowKey} open={openJob} opened={search.job}
              selected={selected} select={setSelected} onEnd={jobs.more} onStart={jobs.earlier} offset={jobs.offset} onVisible={jobs.see}
              faded={jobs.gone} fadedHint={lists.left}
              foot={<Foot jobs={jobs} isFiltered={query !== ""} />}
            />
            <div className="foot" role="status">
              {selected.size > 0 ? (
                <>
                  <strong style={{ color: "var(--text)" }}>{texts.jobs.selected(selected.size)}</strong>
                  <JobActions jobs={chosen} keyed onDone={() => setSelected(new Set())} />
                  <Button size="compact-xs" variant="default" onClick={() => setSelected(new Set())}>{texts.jobs.clearSelection}</Button>
                </>
              ) : <span className="cut">{texts.jobs.keys}</span>}
              <span style={{ flex: 1 }} />
              {jobs.arrived > 0 ? <Button size="compact-xs" variant="light" onClick={jobs.again}>{texts.jobs.newRows(jobs.arrived >= ARRIVED_MAX ? `${ARRIVED_MAX}+` : String(jobs.arrived))}</Button> : null}
              <span>{texts.jobs.loaded(whole(jobs.rows.length))}{jobs.estimate === null ? "" : ` · ${texts.jobs.about(short(jobs.estimate))}`}</span>
              {paused ? <strong>{texts.common.paused}</strong> : <Freshness at={jobs.at} limitMs={10_000} />}
            </div>
          </div>
          {search.job ? (
            <aside className="aside" aria-label={texts.job.title}>
              <div className="inner"><JobView id={search.job} onClose={closeJob} /></div>
            </aside>
          ) : null}
        </div>
      )}
    </div>
  );
}

function Foot({ jobs, isFiltered }: { jobs: ReturnType<typeof useJobWindow>; isFiltered: boolean }): ReactElement {
  if (jobs.rows.length > 0) return <div className="foot" style={{ padding: "8px 12px" }}>{jobs.loading ? texts.common.loading : jobs.ended ? texts.jobs.end : ""}</div>;
  if (jobs.trouble !== undefined) return <Problem trouble={jobs.trouble} again={jobs.again} />;
  if (!jobs.answered) return <div style={{ padding: 12 }}><Loading rows={10} /></div>;
  return isFiltered ? <Empty title={texts.jobs.emptyTitle} hint={texts.jobs.emptyHint} /> : <Empty title={texts.jobs.emptyAllTitle} hint={texts.jobs.emptyAllHint} />;
}

function StateChips({ query, onChange, paused }: { query: string; onChange: (query: string) => void; paused: boolean }): ReactElement {
  // Times in a filter are reckoned to the minute here, so that the question stays the same for a while.
  const base = withKey(query, "state", []);
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  const polled = usePolled(COUNTS, { filter: parseQuery(base, minute).filter }, 3_000, paused);
  const counts = new Map(polled.data?.jobGroups.nodes.map((group) => [group.keys[0]?.value, group.count]));
  const wanted = new Set(parseQuery(query, 0).filter.states ?? []);
  const toggle = (state: JobState): void => {
    const next = new Set(wanted);
    if (!next.delete(state)) next.add(state);
    onChange(withKey(query, "state", STATES.filter((each) => next.has(each)).map((each) => each.toLowerCase())));
  };
  return (
    <div className="chips" role="group" aria-label={texts.columns["state"]}>
      {STATES.map((state) => (
        <button key={state} type="button" className="chip" aria-pressed={wanted.has(state)} onClick={() => toggle(state)} title={texts.stateHelp[state]}>
          <StateIcon state={state} size={13} />
          {texts.states[state]}
          <span className="muted" style={{ minWidth: 18, textAlign: "right" }}>{polled.data === undefined ? "" : short(counts.get(state) ?? 0)}</span>
        </button>
      ))}
      {valuesOf(query, "state").length > 0 ? <button type="button" className="chip" onClick={() => onChange(base)} aria-label={texts.jobs.clear}><IconX size={12} aria-hidden /></button> : null}
      {polled.data?.jobGroups.complete === false ? <span className="muted">{texts.jobs.sampled}</span> : null}
    </div>
  );
}

function ColumnChooser({ keys, onChange }: { keys: readonly string[]; onChange: (keys: string[]) => void }): ReactElement {
  const [annotation, setAnnotation] = useState("");
  const own = keys.filter((key) => key.startsWith("ann."));
  return (
    <Popover position="bottom-end" withArrow trapFocus>
      <Popover.Target>
        <Button size="xs" variant="default" leftSection={<IconColumns3 size={14} aria-hidden />}>{texts.jobs.columns}</Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div style={{ display: "grid", gridTemplateColumns: "1fr 1fr", gap: "6px 18px", minWidth: 280 }}>
          {[...JOB_COLUMNS.map((column) => [column.key, column.title] as const), ...own.map((key) => [key, key.slice(4)] as const)].map(([key, title]) => (
            <Checkbox
              key={key} size="xs" label={title} checked={keys.includes(key)}
              onChange={() => onChange(keys.includes(key) ? keys.filter((each) => each !== key) : [...keys, key])}
            />
          ))}
        </div>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const key = `ann.${annotation.trim()}`;
            if (annotation.trim() !== "" && !annotation.includes(",") && !keys.includes(key)) onChange([...keys, key]);
            setAnnotation("");
          }}
        >
          <TextInput size="xs" mt="sm" label={texts.jobs.addAnnotation} placeholder={texts.jobs.addAnnotationHint} value={annotation} onChange={(event) => setAnnotation(event.currentTarget.value)} />
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}

function Export({ filter, order, columns }: { filter: () => ReturnType<typeof parseQuery>["filter"]; order: Order; columns: ReturnType<typeof columnsOf> }): ReactElement {
  const [rows, setRows] = useState(-1);
  const [note, setNote] = useState("");
  const run = async (): Promise<void> => {
    setRows(0);
    setNote(await exportJobs(filter(), order, columns, setRows));
    setRows(-1);
  };
  return (
    <Menu position="bottom-end" opened={note !== ""} onClose={() => setNote("")}>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconDownload size={14} aria-hidden />} disabled={rows >= 0} onClick={() => void run()}>
          {rows >= 0 ? texts.jobs.exporting(rows) : "CSV"}
        </Button>
      </Menu.Target>
      <Menu.Dropdown><Menu.Label>{note}</Menu.Label></Menu.Dropdown>
    </Menu>
  );
}
