/** What a person may ask about an alarm, each as the dialog shows it and the request sends it. */

import { alarmName, refusal } from './alarms';
import type { Act, Asked } from './state.svelte';
import type { Alarm, CommandInFeed } from './types';

/** Those without a dialog: what became of the others, their dialog has said. */
const QUIET = ['acknowledge', 'unshelve', 'silence'];
const FORGOTTEN_MS = 30_000; // a controller that was started since tells no more of a request

/** How far a request has come, in words; `ended`: it will not come further. */
export interface Progress { stage: string; words: string; ended: boolean }

/** Null: it is seen done, or there is nothing more to say of it. `told`: what the feed says of it. */
export function progress(asked: Asked, told: CommandInFeed | null, nowMs: number): Progress | null {
  const verb = asked.verb.replaceAll('_', ' ');
  const stage = told?.state ?? asked.stage;
  if (stage === 'confirmed') return null;
  if (stage === 'requested') return { stage, words: `${verb}: requested …`, ended: false };
  if (stage === 'accepted') {
    const forgotten = told === null && nowMs - asked.atMs > FORGOTTEN_MS;
    return forgotten ? null : { stage, words: `${verb}: accepted, not seen yet`, ended: false };
  }
  const why = refusal(told?.why || asked.why);
  if (stage === 'not_confirmed') return { stage, words: `${verb} NOT CONFIRMED: ${why}`, ended: true };
  if (!QUIET.includes(asked.verb)) return null;
  if (stage === 'refused') return { stage, words: `${verb} REFUSED: ${why}`, ended: true };
  return { stage, words: `NOT KNOWN whether ${verb} was taken: ${why}. Look before you ask again.`, ended: true };
}

function about(verb: string, alarm: Alarm): Pick<Act, 'verb' | 'target' | 'value' | 'expected'> {
  return { verb, target: alarm.name, value: '', expected: alarm.expected };
}

export function acknowledge(alarm: Alarm): Act {
  return {
    ...about('acknowledge', alarm), title: `Acknowledge ${alarmName(alarm.name)}`,
    go: 'Acknowledge', signatures: 0, reason: false,
  };
}

export function unshelve(alarm: Alarm): Act {
  return { ...about('unshelve', alarm), title: `Show ${alarmName(alarm.name)} again`, go: 'Un-shelve', signatures: 0, reason: false };
}

/** The horn alone: every alarm goes on waiting. */
export function silence(): Act {
  return { verb: 'silence', target: 'horn', value: '', expected: '', title: 'Silence the horn', go: 'Silence', signatures: 0, reason: false };
}

export function shelve(alarm: Alarm): Act {
  const most = alarm.shelve_s / 60;
  const high = most >= 1 ? Math.floor(most) : most;
  return {
    ...about('shelve', alarm), title: `Shelve ${alarmName(alarm.name)}: ${alarm.text}`,
    consequence: 'It calls nobody and leaves the list until its time is over, then it comes back by itself. '
      + 'It stays counted and listed as hidden; its row and its actions go on.',
    go: 'Shelve', reason: true,
    fields: [{
      name: 'minutes', label: `Minutes, at most ${high}`, kind: 'number', low: Math.min(1, high), high,
      start: String(Math.min(10, high)),
    }],
    compose: (filled) => `${Number(filled['minutes'])} min`,
  };
}

export function outOfService(alarm: Alarm): Act {
  return {
    ...about('out_of_service', alarm), title: `Take ${alarmName(alarm.name)} out of service: ${alarm.text}`,
    consequence: 'It calls nobody until a person puts it back, however long that is. '
      + 'It stays counted and listed as hidden; its row and its actions go on.',
    go: 'Take out of service', signatures: 1, reason: true,
  };
}

export function inService(alarm: Alarm): Act {
  return {
    ...about('in_service', alarm), title: `Put ${alarmName(alarm.name)} back into service: ${alarm.text}`,
    consequence: alarm.condition === 'normal' ? 'It calls again from now on.' : 'It stands behind this: it is on the list again at once, not acknowledged.',
    go: 'Put back into service', signatures: 1, reason: true,
  };
}
