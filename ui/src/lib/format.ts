// Numbers, quantities and times as people read them. Pure.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 12,345 */
export function whole(value: number): string {
  return WHOLE.format(value);
}

/** 950, 12.3k, 4.5M */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size < 10_000) return size < 10 && !Number.isInteger(value) ? value.toFixed(1) : WHOLE.format(value);
  if (size < 1_000_000) return `${trimmed(value / 1_000)}k`;
  return size < 1e9 ? `${trimmed(value / 1e6)}M` : `${trimmed(value / 1e9)}G`;
}

function trimmed(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, "");
}

/** 0.1234 -> 12.3 % */
export function percent(fraction: number): string {
  const value = fraction * 100;
  return `${value !== 0 && Math.abs(value) < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** 0.1234 -> 12.3 %, with one decimal always: for columns, where the points stand under each other. */
export function percentFixed(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`;
}

/** A rate a second: 0.4, 12, 1,234 */
export function rate(value: number): string {
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : short(value);
}

/** 840 ms, 12.3 s, 4 min 05 s, 1 h 02 min, 3 d 4 h */
export function duration(ms: number): string {
  if (ms < 0) return "0 s";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${two(Math.floor(seconds % 60))} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** One unit, for narrow places: 12s, 4m, 3h, 2d */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

/** 3 s ago */
export function ago(ms: number): string {
  return ms < 1_500 ? "now" : `${age(ms)} ago`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

export type Zone = "utc" | "local";

/** 2026-11-24 13:45:02 */
export function absolute(time: number, zone: Zone, withMillis = false): string {
  const at = new Date(zone === "local" ? time - new Date(time).getTimezoneOffset() * 60_000 : time).toISOString();
  return `${at.slice(0, 10)} ${at.slice(11, withMillis ? 23 : 19)}${zone === "utc" ? " UTC" : ""}`;
}

/** 13:45:02 */
export function clock(time: number, zone: Zone): string {
  return absolute(time, zone).slice(11, 19);
}

const BINARY: Record<string, number> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 };
const DECIMAL: Record<string, number> = { n: 1e-9, u: 1e-6, m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 };

/** The number that a Kubernetes quantity stands for; NaN for other text. */
export function amount(quantity: string): number {
  const match = /^([+-]?[0-9.]+(?:e[+-]?\d+)?)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)?$/.exec(quantity.trim());
  if (match === null) return Number.NaN;
  const suffix = match[2] ?? "";
  return Number(match[1]) * (BINARY[suffix] ?? DECIMAL[suffix] ?? Number.NaN);
}

/** Bytes with a binary unit: 512 MiB, 1.5 GiB */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let place = 0;
  let left = value;
  while (left >= 1024 && place < units.length - 1) {
    left /= 1024;
    place += 1;
  }
  return `${Number.isInteger(left) || left >= 100 ? left.toFixed(0) : left.toFixed(1)} ${units[place] ?? ""}`;
}

/** A quantity of a resource: 4, 0.5, 16 GiB */
export function resource(name: string, quantity: string): string {
  const value = amount(quantity);
  if (Number.isNaN(value)) return quantity;
  if (name.includes("memory") || name.includes("storage") || name.startsWith("hugepages")) return bytes(value);
  return Number.isInteger(value) ? whole(value) : String(Number(value.toFixed(3)));
}

/** 2026-11-24T13:45:02.123Z -> ms */
export function ms(time: string): number {
  return Date.parse(time);
}
