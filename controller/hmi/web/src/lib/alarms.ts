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

/** The worst first; of equals, one that stands before one that has returned, then the oldest. */
export function sorted(alarms: readonly Alarm[]): Alarm[] {
  const gone = (alarm: Alarm): number => (alarm.state === 'RTN-UNACK' ? 1 : 0);
  const open = (alarm: Alarm): number => (unacknowledged(alarm) ? 0 : 1);
  return [...alarms].sort(
    (a, b) => open(a) - open(b) || rank(a.priority) - rank(b.priority) || gone(a) - gone(b)
      || Number(a.since) - Number(b.since) || a.name.localeCompare(b.name),
  );
}

/** `standing`: the worst that still stands, although nobody needs to acknowledge anything. */
export interface Worst { alarm: Alarm | null; standing: Alarm | null; waiting: number; active: number }

export function worst(alarms: readonly Alarm[]): Worst {
  const waiting = sorted(alarms).filter(unacknowledged);
  const standing = sorted(alarms).filter((alarm) => alarm.state === 'ACK')[0] ?? null;
  return { alarm: waiting[0] ?? null, standing, waiting: waiting.length, active: alarms.length };
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
