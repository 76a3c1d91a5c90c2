// Numbers sorted into bins of one width. Pure.

export interface Bin {
  from: number;
  to: number;
  count: number;
}

const STEPS = [1, 2, 5];

/** The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `width`. */
export function niceStep(width: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(width, 1e-9)));
  return power * (STEPS.find((step) => step * power >= width - 1e-9) ?? 10);
}

/** At most `binsMax` bins from 0 to the largest value; none for no values. */
export function histogram(values: readonly number[], binsMax: number): Bin[] {
  if (values.length === 0) return [];
  const step = niceStep(Math.max(1, ...values) / binsMax);
  const bins = Array.from({ length: Math.max(1, Math.floor(Math.max(...values) / step) + 1) }, (_, index) => ({ from: index * step, to: (index + 1) * step, count: 0 }));
  for (const value of values) {
    const bin = bins[Math.floor(value / step)];
    if (bin !== undefined) bin.count += 1;
  }
  return bins;
}

/** The value below which a part of all lie; 0 for no values. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}
