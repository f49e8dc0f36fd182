/** Rows of the record as this page keeps them: each once, the newest first, a bounded number. */

import type { RecordRow } from './types';

export const ROWS_MAX = 1000;

export function mergeRows(old: readonly RecordRow[], found: readonly RecordRow[]): RecordRow[] {
  const all = new Map<number, RecordRow>();
  for (const row of [...old, ...found]) all.set(row.n, row);
  return [...all.values()].sort((a, b) => b.n - a.n).slice(0, ROWS_MAX);
}

/** Whether every word of the filter occurs somewhere in the row. */
export function matches(row: RecordRow, filter: string): boolean {
  const text = `${row.n} ${row.event} ${row.actor} ${row.role} ${row.severity} ${row.words} ${row.reason}`.toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
