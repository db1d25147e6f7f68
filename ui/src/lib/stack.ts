// Arithmetic of charts: columns on top of each other, and an axis that ends at a round number.

/** Sums from the first series to each: what is drawn to stand on the ones before. */
export function heights(series: readonly (readonly number[])[]): number[][] {
  const sums: number[][] = [];
  for (const values of series) {
    const below = sums.at(-1);
    sums.push(values.map((value, at) => value + (below?.[at] ?? 0)));
  }
  return sums;
}

/** The end of an axis that shows `high`: a round part of a power of ten. */
export function marks(high: number): number {
  if (!Number.isFinite(high) || high <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(high * 1.02));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= high * 1.02) ?? 10;
  return step * power;
}
