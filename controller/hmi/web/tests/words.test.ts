import { describe, expect, it } from 'vitest';
import { digits, duration, leafName, numeral, wallTime } from '../src/lib/format';
import { readUnit } from '../src/lib/model';
import { panels } from '../src/lib/panels';
import { matches, mergeRows } from '../src/lib/rows';
import { rule } from '../src/lib/rules';
import { byRow, layout, position } from '../src/lib/synoptic';
import type { RecordRow } from '../src/lib/types';

describe('numbers', () => {
  it('never show what is not a number as one', () => {
    expect(numeral(null, 'degC')).toBe('---');
    expect(numeral(Number.NaN, 'degC')).toBe('---');
  });

  it('have as many digits as their unit and range carry, and no negative zero', () => {
    expect(numeral(37, 'degC')).toBe('37.00');
    expect(numeral(-0.001, '%')).toBe('0.0');
    expect(digits('mL/min', 1.1)).toBe(3);
  });

  it('are durations as people say them', () => {
    expect(duration(59)).toBe('59 s');
    expect(duration(3661)).toBe('1 h 01 min');
    expect(duration(200_000)).toBe('2 d 07 h');
    expect(duration(null)).toBe('–');
  });

  it('are times of the source with its offset, never moved', () => {
    expect(wallTime('2026-01-05T08:40:10.123+01:00')).toEqual({ date: '2026-01-05', time: '08:40:10', offset: '+01:00' });
  });
});

describe('the record', () => {
  const row = (n: number): RecordRow => ({ n, utc: '', actor: 'olivia', role: 'operator', event: 'x', severity: 'info', words: `w${n}`, reason: '' });

  it('holds each row once, the newest first', () => {
    expect(mergeRows([row(3), row(2)], [row(3), row(4)]).map((item) => item.n)).toEqual([4, 3, 2]);
  });

  it('is filtered by all words', () => {
    expect(matches(row(7), 'OLIVIA w7')).toBe(true);
    expect(matches(row(7), 'olivia w8')).toBe(false);
  });
});

describe('rules', () => {
  it('come from the station where it sends them', () => {
    const { rules } = readUnit({ rules: { start: { signatures: 2, reason: true, meaning: 'began', second_roles: ['qa'] } } });
    expect(rule('start', rules)).toMatchObject({ signatures: 2, reason: true, meaning: 'began', second: ['qa'] });
    expect(rule('abort', rules)).toMatchObject({ signatures: 1, reason: true });
  });
});

describe('the picture', () => {
  const unit = readUnit({
    unit: { id: 'u' },
    tags: { F: { unit: 'mL/min', range: [0, 10] }, W: { unit: 'mL/min', range: [0, 10] }, G: { unit: 'mL/min', range: [0, 500] } },
    synoptic: {
      nodes: [
        { id: 'v', kind: 'vessel' }, { id: 'g', kind: 'mfc', tags: { flow: 'G' } }, { id: 'xg', kind: 'valve', actuator: 'xg' },
        { id: 'in', kind: 'pump', tags: { rate: 'F' } }, { id: 'xi', kind: 'valve', actuator: 'xi' },
        { id: 'out', kind: 'pump', tags: { rate: 'W' } }, { id: 'xo', kind: 'valve', actuator: 'xo' }, { id: 'bag', kind: 'sink', label: 'Waste' },
      ],
      connections: [
        { from: 'g', to: 'xg' }, { from: 'xg', to: 'v' }, { from: 'in', to: 'xi' }, { from: 'xi', to: 'v' },
        { from: 'v', to: 'out' }, { from: 'out', to: 'xo' }, { from: 'xo', to: 'bag' },
      ],
    },
  });

  it('tells lines into the vessel from lines out of it', () => {
    const found = layout(unit);
    expect(found.header?.id).toBe('xg');
    expect(found.inlets.map((line) => [line.pump.id, line.valve?.id])).toEqual([['in', 'xi']]);
    expect(found.outlets[0]!.branches.map((branch) => [branch.valve.id, branch.sink])).toEqual([['xo', 'Waste']]);
  });

  it('keeps gas and liquids in panels of their own', () => {
    expect(panels(unit).map((panel) => [panel.title, panel.all])).toEqual([['Gas', ['G']], ['Pumps', ['F', 'W']]]);
  });

  it('says what the switches of a valve prove, and no more', () => {
    expect(position(true, false)).toBe('OPEN');
    expect(position(false, true)).toBe('CLOSED');
    expect(position(false, false)).toBe('BETWEEN');
    expect(position(true, true)).toBe('CONTRADICTS');
    expect(position(null, false)).toBe('UNKNOWN');
  });

  it('says in words what forces an output', () => {
    expect(byRow('8', 'protect')).toBe('row 8');
    expect(byRow('permit.heater', 'permit')).toBe('no permit');
    expect(byRow('hold.n2', 'procedure')).toBe('by Hold');
    expect(byRow('phase.no_base', 'procedure')).toBe('by the phase');
  });

  it('is drawn from an empty description without a fault', () => {
    expect(layout(readUnit(null)).vessel).toBeNull();
  });
});

describe('phases of one class', () => {
  it('are told apart by their own names, others are not burdened with them', () => {
    const nodes = [{ path: 'a/sample_day_1', title: 'Sample' }, { path: 'a/sample_day_2', title: 'Sample' }, { path: 'a/expand', title: 'Expand' }];
    expect(leafName('a/sample_day_2', 'Sample', nodes)).toBe(' (sample_day_2)');
    expect(leafName('a/expand', 'Expand', nodes)).toBe('');
  });
});
