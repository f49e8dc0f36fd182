import { describe, expect, it } from 'vitest';
import * as acts from '../src/lib/alarmActs';
import {
  alarmName, calls, comesBack, explains, firstOut, hidden, hiddenWords, later, neverHidden, refusal, response,
  sorted, standing, stateWords, timeToRespond, unacknowledged, worst,
} from '../src/lib/alarms';
import type { Asked } from '../src/lib/state.svelte';
import type { Alarm, Cause, CommandInFeed } from '../src/lib/types';

const S = 1_000_000_000;
function alarm(name: string, state: string, priority = 'high', more: Partial<Alarm> = {}): Alarm {
  const since = more.since ?? '1000000000';
  return {
    name, state, priority, text: name, condition: 'stands', since, expected: `${state}@${since}`, consequence: '', action: '',
    respond_s: 300, due: '', calls: 0, silenced: false, shelve_s: 1800, shelved_until: '', reason: '', by: '', suppressed_by: [], ...more,
  } as Alarm;
}
const names = (list: readonly Alarm[]): string[] => list.map((item) => item.name);

describe('the list', () => {
  it('shows on top the worst that is in force and waits, not one that was acknowledged or has returned', () => {
    const list = [alarm('a', 'ACK', 'critical'), alarm('b', 'UNACK', 'medium'), alarm('c', 'RTN-UNACK', 'high')];
    expect(worst(list)).toMatchObject({ alarm: { name: 'b' }, waiting: 2, total: 3 });
  });

  it('takes one whose row is latched for in force: what the row holds it still holds', () => {
    const list = [alarm('low', 'UNACK', 'low'), alarm('gone', 'RTN-UNACK', 'critical'), alarm('latched', 'LATCHED-UNACK', 'high')];
    expect(worst(list)).toMatchObject({ alarm: { name: 'latched' }, waiting: 3 });
    expect(names(sorted(list))).toEqual(['latched', 'low', 'gone']);
  });

  it('shows one that is in force and acknowledged before one that has returned', () => {
    const list = [alarm('c', 'RTN-UNACK', 'critical'), alarm('a', 'ACK', 'medium')];
    expect(worst(list)).toMatchObject({ alarm: { name: 'a' }, waiting: 1, total: 2 });
    expect(worst([list[0]!]).alarm?.name).toBe('c');
    expect(worst([]).alarm).toBeNull();
  });

  it('has what is active before what has returned, within each the worst first', () => {
    const list = [alarm('gone', 'RTN-UNACK', 'critical'), alarm('low', 'UNACK', 'low'), alarm('high', 'ACK', 'high')];
    expect(names(sorted(list))).toEqual(['high', 'low', 'gone']);
  });

  it('puts the older first among equals, by number and not by letter', () => {
    const list = [alarm('late', 'UNACK', 'high', { since: '10000000000' }), alarm('early', 'UNACK', 'high', { since: '9000000000' })];
    expect(names(sorted(list))).toEqual(['early', 'late']);
  });

  it('offers to acknowledge in every state that waits, and in no other', () => {
    const waits = ['UNACK', 'ACK', 'RTN-UNACK', 'LATCHED-UNACK', 'LATCHED-ACK', 'SHELVED', 'SUPPRESSED-BY-DESIGN', 'OUT-OF-SERVICE'];
    expect(waits.filter((state) => unacknowledged(alarm('a', state)))).toEqual(['UNACK', 'RTN-UNACK', 'LATCHED-UNACK']);
  });
});

describe('words', () => {
  it('name an alarm', () => {
    expect(['row:8', 'proof:8:feed', 'link:pump_bus', 'log'].map(alarmName)).toEqual(['row 8', 'proof of feed for row 8', 'link pump_bus', 'log']);
  });

  it('say every state of ISA-18.2', () => {
    for (const state of ['UNACK', 'ACK', 'RTN-UNACK', 'LATCHED-UNACK', 'LATCHED-ACK', 'SUPPRESSED-BY-DESIGN', 'OUT-OF-SERVICE']) {
      expect(stateWords(state)).not.toBe(state);
    }
    expect(stateWords('WHATEVER')).toBe('WHATEVER');
  });

  it('say what came first in a group, and name the group where there is more than one', () => {
    const cause = (place: number, group = 'unit'): Cause => ({ place, group }) as Cause;
    expect([firstOut(cause(0)), firstOut(cause(2)), firstOut(cause(0, 'heat')), firstOut(cause(-1)), firstOut(undefined)])
      .toEqual(['FIRST OUT', 'no. 3', 'FIRST OUT heat', '', '']);
  });

  it('turn a refusal about a state that is over into one a person understands', () => {
    expect(refusal('the screen showed UNACK@5, the alarm is ACK@5')).toContain('now it is ACTIVE, acknowledged');
    expect(refusal('the screen showed UNACK@5, the alarm is UNACK@9')).toContain('raised again');
    expect(refusal('no horn sounds')).toBe('no horn sounds');
  });
});

describe('time', () => {
  it('says how long an alarm stands on the clock of the source', () => {
    expect(standing(alarm('a', 'UNACK', 'high', { since: `${5 * S}` }), `${65 * S}`)).toBe(60);
    expect(standing(alarm('a', 'UNACK'), '')).toBeNull();
  });

  it('counts down, presses in the last quarter, and says when it is over', () => {
    const one = alarm('a', 'UNACK', 'high', { due: `${400 * S}`, respond_s: 300 });
    expect(response(one, `${100 * S}`)).toEqual({ words: '5 min 00 s left', overdue: false, urgent: false });
    expect(response(one, `${340 * S + 1}`)).toEqual({ words: '1 min 00 s left', overdue: false, urgent: true });
    expect(response(one, `${399 * S + 1}`)?.words).toBe('1 s left');
    expect(response(one, `${465 * S}`)).toEqual({ words: 'OVERDUE by\u00a01\u00a0min\u00a005\u00a0s', overdue: true, urgent: true });
    expect(response(alarm('a', 'ACK'), `${100 * S}`)).toBeNull();
  });

  it('to respond is said as it was written', () => {
    expect([180, 90, 7200].map((s) => timeToRespond(alarm('a', 'UNACK', 'high', { respond_s: s })))).toEqual(['3 min', '90 s', '2 h']);
  });

  it('says how often somebody was called', () => {
    expect([0, 1, 3].map((number) => calls(alarm('a', 'UNACK', 'high', { calls: number })))).toEqual(['', 'escalated once', 'escalated 3 times']);
  });

  it('says when a shelved one comes back, on the wall clock of the station and not of the browser', () => {
    const one = alarm('a', 'SHELVED', 'high', { shelved_until: `${3700 * S}` });
    expect(comesBack(one, `${100 * S}`, '2026-01-05T23:30:10.5+01:00')).toBe('00:30, 1 h 00 min left');
    expect(comesBack(one, `${100 * S}`, '')).toBe('1 h 00 min left');
    expect(later('2026-01-05T03:00:00Z', 90)).toBe('03:01');
    expect(later('2026-01-05T03:00:00-05:30', 0)).toBe('03:00');
    expect(comesBack(alarm('a', 'ACK'), '1', '')).toBe('');
  });
});

describe('what is hidden', () => {
  const list = [
    alarm('row:1', 'SUPPRESSED-BY-DESIGN', 'critical', { suppressed_by: ['link:skid'] }),
    alarm('row:3', 'SUPPRESSED-BY-DESIGN', 'low', { suppressed_by: ['link:skid', 'link:probe_bus'] }),
    alarm('row:2', 'SUPPRESSED-BY-DESIGN', 'high', { suppressed_by: ['link:skid'] }),
    alarm('row:13', 'SHELVED'), alarm('row:17', 'OUT-OF-SERVICE'),
  ];

  it('is never lost: each alarm stands under its reason, and all are counted', () => {
    const found = hidden(list);
    expect([names(found.shelved), names(found.out)]).toEqual([['row:13'], ['row:17']]);
    expect(found.suppressed.map((group) => [group.heads, names(group.alarms)])).toEqual([
      [['link:skid'], ['row:1', 'row:2']], [['link:skid', 'link:probe_bus'], ['row:3']],
    ]);
    expect(found.total).toBe(list.length);
    expect(hiddenWords(found)).toBe('5 hidden: 1 shelved, 3 suppressed by design, 1 out of service');
    expect(hiddenWords(hidden([]))).toBe('none hidden');
  });

  it('is in sight at the alarm that explains it', () => {
    expect([explains('link:skid', list), explains('link:probe_bus', list), explains('row:13', list)]).toEqual([3, 1, 0]);
  });

  it('keeps an alarm of a state nobody knows', () => {
    expect(hidden([alarm('row:5', 'NEW-STATE')]).suppressed[0]?.alarms).toHaveLength(1);
  });

  it('says why an alarm may not be hidden', () => {
    const never = (priority: string, bypassable?: boolean): string => neverHidden(alarm('a', 'UNACK', priority, { shelve_s: 0 }), bypassable);
    expect([never('critical', false), never('high', false), never('high')].map((words) => words.split(': ')[1]))
      .toEqual(['critical', 'its row is never bypassed', 'set so for this unit']);
    expect(neverHidden(alarm('a', 'UNACK'), false)).toBe('');
  });
});

describe('what became of a request', () => {
  const asked = (stage: Asked['stage'], verb = 'acknowledge', why = ''): Asked => ({ key: 1, verb, target: 'row:7', value: '', stage, id: 5, why, atMs: 1000 });
  const told = (state: string, why = ''): CommandInFeed => ({ id: 5, verb: 'acknowledge', target: 'row:7', value: '', who: 'olivia', state, why });

  it('is requested, accepted, and done only when the feed shows it', () => {
    expect(acts.progress(asked('requested'), null, 1000)?.words).toBe('acknowledge: requested …');
    expect(acts.progress(asked('accepted'), null, 1000)?.words).toBe('acknowledge: accepted, not seen yet');
    expect(acts.progress(asked('accepted'), told('accepted'), 90_000)?.stage).toBe('accepted');
    expect(acts.progress(asked('accepted'), told('confirmed'), 1000)).toBeNull();
    expect(acts.progress(asked('accepted'), told('not_confirmed', 'the unit does not show it'), 1000))
      .toMatchObject({ words: 'acknowledge NOT CONFIRMED: the unit does not show it', ended: true });
  });

  it('is forgotten where the controller was started since', () => {
    expect(acts.progress(asked('accepted'), null, 60_000)).toBeNull();
  });

  it('is said at the alarm where no dialog has said it', () => {
    const stale = 'the screen showed UNACK@5, the alarm is ACK@5';
    expect(acts.progress(asked('refused', 'acknowledge', stale), null, 1000)?.words).toContain('REFUSED: your screen showed');
    expect(acts.progress(asked('refused', 'shelve', stale), null, 1000)).toBeNull();
    expect(acts.progress(asked('unknown', 'silence', 'no answer'), null, 1000)?.words).toContain('NOT KNOWN whether silence was taken');
  });
});

describe('what is asked', () => {
  it('says which state the screen showed, but for the horn that has none', () => {
    const one = alarm('row:7', 'UNACK');
    for (const act of [acts.acknowledge(one), acts.shelve(one), acts.unshelve(one), acts.outOfService(one), acts.inService(one)]) {
      expect([act.target, act.expected]).toEqual(['row:7', 'UNACK@1000000000']);
    }
    expect(acts.silence()).toMatchObject({ verb: 'silence', target: 'horn', expected: '' });
  });

  it('shelves for minutes, up to what the database allows, with a reason', () => {
    const act = acts.shelve(alarm('row:7', 'UNACK', 'high', { shelve_s: 1800 }));
    expect([act.fields?.[0]?.low, act.fields?.[0]?.high, act.fields?.[0]?.start, act.reason]).toEqual([1, 30, '10', true]);
    expect(act.compose?.({ minutes: ' 12 ' })).toBe('12 min');
    const short = acts.shelve(alarm('row:7', 'UNACK', 'high', { shelve_s: 30 }));
    expect([short.fields?.[0]?.low, short.fields?.[0]?.high, short.fields?.[0]?.start]).toEqual([0.5, 0.5, '0.5']);
  });

  it('is signed where an alarm leaves service or comes back', () => {
    expect([acts.outOfService(alarm('a', 'ACK')), acts.inService(alarm('a', 'OUT-OF-SERVICE'))].map((act) => act.signatures)).toEqual([1, 1]);
    expect(acts.inService(alarm('a', 'OUT-OF-SERVICE')).consequence).toContain('at once');
  });
});
