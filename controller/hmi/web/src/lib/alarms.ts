/** What an alarm says to a person: which is the worst, its state in words, how much time is left. */

import { duration, wallTime } from './format';
import type { Alarm, Cause, Priority } from './types';

export const PRIORITIES: readonly Priority[] = ['critical', 'high', 'medium', 'low'];
const UNACKNOWLEDGED = ['UNACK', 'RTN-UNACK', 'LATCHED-UNACK'];
const WORDS: Record<string, string> = {
  NORM: 'normal',
  UNACK: 'ACTIVE, not acknowledged',
  ACK: 'ACTIVE, acknowledged',
  'RTN-UNACK': 'RETURNED, not acknowledged',
  'LATCHED-UNACK': 'LATCHED, not acknowledged',
  'LATCHED-ACK': 'LATCHED, acknowledged',
  SHELVED: 'SHELVED',
  'SUPPRESSED-BY-DESIGN': 'SUPPRESSED by design',
  'OUT-OF-SERVICE': 'OUT OF SERVICE',
};
const CONDITIONS: Record<string, string> = {
  normal: 'normal now', stands: 'STANDS now', latched: 'its row is LATCHED now',
};

export function unacknowledged(alarm: Alarm): boolean {
  return UNACKNOWLEDGED.includes(alarm.state);
}

export function rank(priority: string): number {
  const found = PRIORITIES.indexOf(priority as Priority);
  return found < 0 ? PRIORITIES.length : found;
}

/** What is in force (active, or its row latched) before what has returned; within each the worst
    first, then the oldest. */
export function sorted(alarms: readonly Alarm[]): Alarm[] {
  const gone = (alarm: Alarm): number => (alarm.state === 'RTN-UNACK' ? 1 : 0);
  return [...alarms].sort(
    (a, b) => gone(a) - gone(b) || rank(a.priority) - rank(b.priority)
      || Number(a.since) - Number(b.since) || a.name.localeCompare(b.name),
  );
}

/** `alarm`: what stands at the top of every page; `total` of what is listed, `waiting` to be acknowledged. */
export interface Worst { alarm: Alarm | null; waiting: number; total: number }

/** In force and not acknowledged before in force and acknowledged, and that before what has returned. */
export function worst(alarms: readonly Alarm[]): Worst {
  const all = sorted(alarms);
  const alarm = all.find((item) => unacknowledged(item) && item.state !== 'RTN-UNACK') ?? all[0] ?? null;
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
  return WORDS[state] ?? state;
}

/** What the process says behind an alarm that is hidden. */
export function conditionWords(condition: string): string {
  return CONDITIONS[condition] ?? condition;
}

/** Seconds of the unit's time from one instant to another, both ns as text; null: one is not known. */
function between(fromNs: string, toNs: string): number | null {
  if (!/^-?\d+$/.test(fromNs) || !/^-?\d+$/.test(toNs)) return null;
  return Number(BigInt(toNs) - BigInt(fromNs)) / 1e9;
}

/** Seconds of the unit's time since an alarm was raised; `since` is on the clock of `mono_ns`. */
export function standing(alarm: Alarm, monoNs: string): number | null {
  return between(alarm.since, monoNs);
}

/** How much time is left to respond; `urgent`: over, or less than a quarter of it left. */
export interface Response { words: string; overdue: boolean; urgent: boolean }

/** Null: nobody waits for an answer to it. */
export function response(alarm: Alarm, monoNs: string): Response | null {
  const left = between(monoNs, alarm.due);
  if (left === null) return null;
  const overdue = left <= 0;
  return {
    // Where it does not fit it breaks after the first word.
    words: overdue ? `OVERDUE by ${duration(-left)}`.replaceAll(/ (?!by)/g, '\u00a0') : `${duration(Math.ceil(left))} left`,
    overdue, urgent: left < alarm.respond_s / 4,
  };
}

/** `3 min`, `90 s`, `1 h`: a time to respond as the unit's file says it. */
export function timeToRespond(alarm: Alarm): string {
  const s = alarm.respond_s;
  if (s % 3600 === 0) return `${s / 3600} h`;
  return s % 60 === 0 ? `${s / 60} min` : `${s} s`;
}

export function calls(alarm: Alarm): string {
  if (alarm.calls <= 0) return '';
  return alarm.calls === 1 ? 'escalated once' : `escalated ${alarm.calls} times`;
}

/** `02:41, 12 min 03 s left`: when a shelved one comes back, on the clock of the station. */
export function comesBack(alarm: Alarm, monoNs: string, utc: string): string {
  const left = between(monoNs, alarm.shelved_until);
  if (left === null) return '';
  const at = later(utc, left);
  return `${at ? `${at}, ` : ''}${duration(Math.ceil(left))} left`;
}

/** The wall time of the station some seconds after `utc`, in the offset it came with. */
export function later(utc: string, seconds: number): string {
  const { time, offset } = wallTime(utc);
  const sign = offset.startsWith('-') ? -1 : 1;
  const offsetS = sign * (Number(offset.slice(1, 3)) * 3600 + Number(offset.slice(4, 6)) * 60);
  const at = Date.parse(utc) + (seconds + offsetS) * 1000;
  return time === '--:--:--' || !Number.isFinite(at) ? '' : new Date(at).toISOString().slice(11, 16);
}

/** Why an alarm may not be shelved nor taken out of service; empty: it may. */
export function neverHidden(alarm: Alarm, bypassable: boolean | undefined): string {
  if (alarm.shelve_s > 0) return '';
  if (alarm.priority === 'critical') return 'never shelved: critical';
  return bypassable === false ? 'never shelved: its row is never bypassed' : 'never shelved: set so for this unit';
}

/** `FIRST OUT`, or its place behind it; the group is named where the unit has more than one. */
export function firstOut(cause: Cause | undefined): string {
  if (!cause || cause.place < 0) return '';
  const group = cause.group && cause.group !== 'unit' ? ` ${cause.group}` : '';
  return cause.place === 0 ? `FIRST OUT${group}` : `no. ${cause.place + 1}${group}`;
}

/** The alarms nobody is shown, by why: those a person shelved, those out of service, and what is
    suppressed under the alarms that explain it. */
export interface Hidden { shelved: Alarm[]; out: Alarm[]; suppressed: { heads: string[]; alarms: Alarm[] }[]; total: number }

export function hidden(alarms: readonly Alarm[]): Hidden {
  const groups = new Map<string, { heads: string[]; alarms: Alarm[] }>();
  const found: Hidden = { shelved: [], out: [], suppressed: [], total: alarms.length };
  for (const alarm of sorted(alarms)) {
    if (alarm.state === 'SHELVED') found.shelved.push(alarm);
    else if (alarm.state === 'OUT-OF-SERVICE') found.out.push(alarm);
    else {
      const key = alarm.suppressed_by.join(' ');
      const group = groups.get(key) ?? { heads: alarm.suppressed_by, alarms: [] };
      group.alarms.push(alarm);
      groups.set(key, group);
    }
  }
  found.suppressed = [...groups.values()].sort((a, b) => b.alarms.length - a.alarms.length);
  return found;
}

/** `3 hidden: 1 shelved, 2 suppressed by design`. */
export function hiddenWords(found: Hidden): string {
  const suppressed = found.total - found.shelved.length - found.out.length;
  const parts = [[found.shelved.length, 'shelved'], [suppressed, 'suppressed by design'], [found.out.length, 'out of service']] as const;
  const words = parts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`).join(', ');
  return found.total > 0 ? `${found.total} hidden: ${words}` : 'none hidden';
}

/** How many hidden alarms one that is shown explains. */
export function explains(name: string, alarms: readonly Alarm[]): number {
  return alarms.filter((alarm) => alarm.state === 'SUPPRESSED-BY-DESIGN' && alarm.suppressed_by.includes(name)).length;
}

/** A refusal about a state that is over, as a person says it; any other as it came. */
export function refusal(why: string): string {
  const found = /the screen showed ([A-Z-]+)@\d+, the alarm is ([A-Z-]+)@\d+/.exec(why);
  if (!found) return why;
  const [, shown = '', now = ''] = found;
  return shown === now ? 'it was raised again since your screen showed it. Look again.'
    : `your screen showed it as ${stateWords(shown)}; now it is ${stateWords(now)}. Look again.`;
}
