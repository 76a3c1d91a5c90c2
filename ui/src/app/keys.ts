// Keys that work on every page: g and a letter go to a page, ? shows what there is.
import { useEffect, useRef } from "react";

const AFTER_G_MS = 1_500;
export const PLACES = { o: "/", j: "/jobs", s: "/sets", q: "/queues", n: "/nodes", r: "/rounds", h: "/health" } as const;
export type Place = (typeof PLACES)[keyof typeof PLACES];

/** Where letters are text, or a dialog has the keyboard, they are not ours. */
function isTaken(target: EventTarget | null): boolean {
  const element = target instanceof Element ? target : null;
  return element?.closest("input, textarea, select, [contenteditable=true], [role=textbox], [role=dialog], .graphiql-container") !== null && element !== null;
}

export function usePageKeys(go: (to: Place) => void, help: () => void): void {
  const begun = useRef(0);
  const actions = useRef({ go, help });
  useEffect(() => {
    actions.current = { go, help };
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event.target)) return;
      const place = PLACES[event.key as keyof typeof PLACES];
      if (event.key === "g") begun.current = event.timeStamp;
      else if (event.key === "?") actions.current.help();
      else if (place !== undefined && begun.current > 0 && event.timeStamp - begun.current < AFTER_G_MS) {
        begun.current = 0;
        // The page under it must not take the letter as its own.
        event.stopPropagation();
        event.preventDefault();
        actions.current.go(place);
      } else begun.current = 0;
    };
    document.addEventListener("keydown", onKey, true);
    return () => document.removeEventListener("keydown", onKey, true);
  }, []);
}
