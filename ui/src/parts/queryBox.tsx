// The query box with completion. What is typed takes effect with Enter or after a short rest; problems are named under it.
import { ActionIcon, TextInput } from "@mantine/core";
import { IconSearch, IconX } from "@tabler/icons-react";
import { type KeyboardEvent, type ReactElement, useEffect, useId, useRef, useState } from "react";
import { completed, completions, parseQuery } from "../lib/jobQuery";
import { texts } from "../texts/en";

const REST_MS = 450;

export function QueryBox({ value, onChange, names }: { value: string; onChange: (query: string) => void; names: Record<string, readonly string[]> }): ReactElement {
  const [typed, setTyped] = useState(value);
  const [sent, setSent] = useState(value);
  const [shown, setShown] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  const found = shown ? completions(typed, names) : [];
  const [problem] = parseQuery(typed, Date.now()).problems;

  // A query that came from elsewhere (a link, a chip, the address) replaces what was typed.
  if (value !== sent) {
    setSent(value);
    setTyped(value);
  }
  useEffect(() => {
    if (typed.trim() === value.trim() || parseQuery(typed, Date.now()).problems.length > 0) return undefined;
    const timer = setTimeout(() => {
      setSent(typed.trim());
      onChange(typed.trim());
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [typed, value, onChange]);
  useEffect(() => {
    const onSlash = (event: globalThis.KeyboardEvent): void => {
      const target = event.target as HTMLElement | null;
      if (event.key !== "/" || target?.closest("input, textarea, [contenteditable]")) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    document.addEventListener("keydown", onSlash);
    return () => document.removeEventListener("keydown", onSlash);
  }, []);

  const take = (completion: string): void => {
    setTyped(completed(typed, completion));
    setChosen(-1);
    input.current?.focus();
  };
  const apply = (query: string): void => {
    setSent(query.trim());
    onChange(query.trim());
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const pick = found[chosen];
    if (event.key === "ArrowDown" && found.length > 0) setChosen((chosen + 1) % found.length);
    else if (event.key === "ArrowUp" && found.length > 0) setChosen((chosen - 1 + found.length) % found.length);
    else if ((event.key === "Enter" || event.key === "Tab") && pick !== undefined) take(pick);
    else if (event.key === "Enter") {
      setShown(false);
      apply(typed);
      document.querySelector<HTMLElement>("[role=grid]")?.focus();
    } else if (event.key === "Escape") {
      if (!shown) input.current?.blur();
      setShown(false);
      setChosen(-1);
    } else return;
    event.preventDefault();
  };

  return (
    <div style={{ position: "relative", flex: 1, minWidth: 260 }}>
      <TextInput
        ref={input}
        size="xs"
        value={typed}
        placeholder={texts.jobs.queryPlaceholder}
        aria-label={texts.jobs.query}
        role="combobox"
        aria-expanded={found.length > 0}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={chosen >= 0 ? `${list}-${chosen}` : undefined}
        autoComplete="off"
        spellCheck={false}
        leftSection={<IconSearch size={14} aria-hidden />}
        rightSection={typed === "" ? <span className="muted mono" title={texts.jobs.queryHelp} aria-hidden>/</span> : (
          <ActionIcon size="xs" variant="subtle" color="gray" aria-label={texts.jobs.clear} onClick={() => { setTyped(""); apply(""); }}><IconX size={13} /></ActionIcon>
        )}
        styles={{ input: { fontFamily: "var(--mono)" } }}
        error={problem !== undefined && !shown ? `${problem.text}: ${problem.message}` : undefined}
        onChange={(event) => { setTyped(event.currentTarget.value); setShown(true); setChosen(-1); }}
        onFocus={() => setShown(true)}
        onBlur={() => setTimeout(() => setShown(false), 150)}
        onKeyDown={onKeyDown}
      />
      <div id={list} role="listbox" aria-label={texts.jobs.query} className={found.length > 0 ? "suggest" : "hidden"}>
        {found.map((each, index) => (
          <div key={each} id={`${list}-${index}`} role="option" aria-selected={index === chosen} onPointerDown={(event) => { event.preventDefault(); take(each); }}>
            {each}
          </div>
        ))}
      </div>
    </div>
  );
}
