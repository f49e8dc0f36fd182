/** The points behind a trend. A gap in time, a break of the feed and a bad value all break the line. */

import type { Quality } from './types';

export interface Columns { t: number[]; values: Record<string, (number | null)[]> }

export const KEEP = 6000;
const GAP_S = 1.5;

export function empty(tags: readonly string[]): Columns {
  return { t: [], values: Object.fromEntries(tags.map((tag) => [tag, []])) };
}

/** How long nothing may come before the line breaks, in seconds of the source's time. */
export function gapLimit(speed: number): number {
  return GAP_S * Math.max(1, speed);
}

/**
 * Appends one frame. A bad value is a gap, never a point; a frame that came late or after a break
 * is preceded by a gap. Points that are not newer than the last one are left out.
 */
export function push(
  columns: Columns, t: number, tags: Record<string, readonly [number | null, Quality, ...unknown[]]>,
  limit: number, broken: boolean,
): Columns {
  const last = columns.t.at(-1);
  if (last !== undefined && t <= last) return columns;
  const gap = last !== undefined && (broken || t - last > limit);
  const keep = (list: readonly unknown[]): number => Math.max(0, list.length - KEEP);
  const times = columns.t.slice(keep(columns.t));
  if (gap) times.push((last + t) / 2);
  times.push(t);
  const values: Columns['values'] = {};
  for (const [tag, old] of Object.entries(columns.values)) {
    const line = old.slice(keep(old));
    if (gap) line.push(null);
    const found = tags[tag];
    line.push(found && found[1] !== 'bad' ? found[0] : null);
    values[tag] = line;
  }
  return { t: times, values };
}

/**
 * History as the server keeps it (`t` in seconds, one column a tag, null where nothing good is
 * known), with a gap wherever two points lie further apart than four of its usual steps.
 */
export function fromHistory(raw: Record<string, unknown> | null, tags: readonly string[]): Columns {
  const columns = empty(tags);
  const t = raw?.['t'];
  const given = raw?.['tags'] ?? raw?.['columns'];
  if (!Array.isArray(t) || typeof given !== 'object' || given === null) return columns;
  const lists = given as Record<string, unknown>;
  const limit = Math.max(4 * usualStep(t as number[]), GAP_S);
  let last = -Infinity;
  for (let i = 0; i < t.length; i += 1) {
    const time = Number(t[i]);
    if (!Number.isFinite(time) || time <= last) continue;
    if (last !== -Infinity && time - last > limit) {
      columns.t.push((last + time) / 2);
      for (const tag of tags) columns.values[tag]!.push(null);
    }
    columns.t.push(time);
    for (const tag of tags) {
      const list = lists[tag];
      const value: unknown = Array.isArray(list) ? list[i] : null;
      columns.values[tag]!.push(typeof value === 'number' && Number.isFinite(value) ? value : null);
    }
    last = time;
  }
  return columns;
}

function usualStep(t: readonly number[]): number {
  const steps: number[] = [];
  for (let i = 1; i < t.length; i += 1) steps.push(t[i]! - t[i - 1]!);
  steps.sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? 0;
}

/** History first, then what the feed brought since; a hole between the two stays a hole. */
export function join(old: Columns, live: Columns, limit: number): Columns {
  const end = old.t.at(-1);
  if (end === undefined) return live;
  const first = live.t.findIndex((t) => t > end);
  if (first < 0) return old;
  const gap = live.t[first]! - end > limit;
  const t = [...old.t, ...(gap ? [(end + live.t[first]!) / 2] : []), ...live.t.slice(first)];
  const values: Columns['values'] = {};
  for (const [tag, line] of Object.entries(old.values)) {
    const tail = live.values[tag]?.slice(first) ?? live.t.slice(first).map(() => null);
    values[tag] = [...line, ...(gap ? [null] : []), ...tail];
  }
  return { t, values };
}

/** Only the part of a window; the point before it stays, so that a line enters from the edge. */
export function within(columns: Columns, from: number): Columns {
  const first = columns.t.findIndex((t) => t >= from);
  if (first <= 0) return columns;
  const start = first - 1;
  const values = Object.fromEntries(
    Object.entries(columns.values).map(([tag, line]) => [tag, line.slice(start)]),
  );
  return { t: columns.t.slice(start), values };
}
