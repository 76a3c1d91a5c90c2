// What a person likes to see, kept in this browser: theme, time zone, how times are written. Bad stored values are ignored.
import { useSyncExternalStore } from "react";
import type { Zone } from "../lib/format";

export type Theme = "light" | "dark" | "auto";
export interface Preferences {
  theme: Theme;
  zone: Zone;
  absolute: boolean;
}

const KEY = "lookout.preferences";
const DEFAULTS: Preferences = { theme: "auto", zone: "local", absolute: false };
const listeners = new Set<() => void>();
let current = read();

function read(): Preferences {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const found = typeof stored === "object" && stored !== null ? (stored as Partial<Preferences>) : {};
    return {
      theme: found.theme === "light" || found.theme === "dark" ? found.theme : DEFAULTS.theme,
      zone: found.zone === "utc" ? "utc" : DEFAULTS.zone,
      absolute: found.absolute === true,
    };
  } catch {
    return DEFAULTS;
  }
}

export function setPreferences(change: Partial<Preferences>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // A browser without storage forgets them with the tab.
  }
  for (const listener of listeners) listener();
}

export function getPreferences(): Preferences {
  return current;
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}
