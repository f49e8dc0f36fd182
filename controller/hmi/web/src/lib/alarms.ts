/** Which alarm is the worst, and what each priority looks like: shape and number, not colour alone. */

import type { Alarm, Priority } from './types';

export const PRIORITIES: readonly Priority[] = ['critical', 'high', 'medium', 'low'];
const UNACKNOWLEDGED = ['UNACK', 'RTN-UNACK'];

export function unacknowledged(alarm: Alarm): boolean {
  return UNACKNOWLEDGED.includes(alarm.state);
}

export function rank(priority: string): number {
  const found = PRIORITIES.indexOf(priority as Priority);
  return found < 0 ? PRIORITIES.length : found;
}

/** What is active before what has returned; within each the worst first, then the oldest. */
export function sorted(alarms: readonly Alarm[]): Alarm[] {
  const gone = (alarm: Alarm): number => (alarm.state === 'RTN-UNACK' ? 1 : 0);
  return [...alarms].sort(
    (a, b) => gone(a) - gone(b) || rank(a.priority) - rank(b.priority)
      || Number(a.since) - Number(b.since) || a.name.localeCompare(b.name),
  );
}

/** `alarm`: what stands at the top of every page; `total` of what is listed, `waiting` to be acknowledged. */
export interface Worst { alarm: Alarm | null; waiting: number; total: number }

/** Active and not acknowledged before active and acknowledged, and that before what has returned. */
export function worst(alarms: readonly Alarm[]): Worst {
  const all = sorted(alarms);
  const alarm = all.find((item) => item.state === 'UNACK') ?? all[0] ?? null;
  return { alarm, waiting: all.filter(unacknowledged).length, total: all.length };
}

/** `row:8` is row 8; `proof:8:feed` the proof of feed for row 8. */
export function alarmName(name: string): string {
  const [kind = '', first = '', ...rest] = name.split(':');
  if (kind === 'proof' && rest.length > 0) return `proof of ${rest.join(':')} for row ${first}`;
  return [kind, [first, ...rest].join(':')].filter(Boolean).join(' ');
}

/** The life-cycle state as an operator reads it. */
export function stateWords(state: string): string {
  const words: Record<string, string> = {
    UNACK: 'ACTIVE, not acknowledged',
    ACK: 'ACTIVE, acknowledged',
    'RTN-UNACK': 'RETURNED to normal, not acknowledged',
    NORM: 'normal',
  };
  return words[state] ?? state;
}

/** Seconds of the unit's time since an alarm was raised; `since` is on the clock of `mono_ns`. */
export function standing(alarm: Alarm, monoNs: string): number | null {
  if (!/^\d+$/.test(alarm.since) || !/^\d+$/.test(monoNs)) return null;
  return Number(BigInt(monoNs) - BigInt(alarm.since)) / 1e9;
}
