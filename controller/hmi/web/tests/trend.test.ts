import { describe, expect, it } from 'vitest';
import { empty, fromHistory, gapLimit, join, KEEP, push, within } from '../src/lib/trend';
import type { TagValue } from '../src/lib/types';

const good = (value: number): Record<string, TagValue> => ({ A: [value, 'good', '', 0] });

describe('a live curve', () => {
  it('joins points that follow each other', () => {
    let line = push(empty(['A']), 10, good(1), 1.5, false);
    line = push(line, 10.2, good(2), 1.5, false);
    expect(line.values['A']).toEqual([1, 2]);
  });

  it('breaks where nothing came for longer than the limit', () => {
    let line = push(empty(['A']), 10, good(1), 1.5, false);
    line = push(line, 14, good(2), 1.5, false);
    expect(line.t).toEqual([10, 12, 14]);
    expect(line.values['A']).toEqual([1, null, 2]);
  });

  it('breaks where the feed was broken, however short that was', () => {
    let line = push(empty(['A']), 10, good(1), 1.5, false);
    line = push(line, 10.4, good(2), 1.5, true);
    expect(line.values['A']).toEqual([1, null, 2]);
  });

  it('never draws a bad value, whatever number it carries', () => {
    let line = push(empty(['A']), 10, good(1), 1.5, false);
    line = push(line, 10.2, { A: [37, 'bad', 'stuck', 0] }, 1.5, false);
    line = push(line, 10.4, {}, 1.5, false);
    expect(line.values['A']).toEqual([1, null, null]);
  });

  it('takes no point that is not newer', () => {
    const line = push(empty(['A']), 10, good(1), 1.5, false);
    expect(push(line, 10, good(9), 1.5, false)).toBe(line);
    expect(push(line, 9, good(9), 1.5, true)).toBe(line);
  });

  it('keeps a bounded number of points', () => {
    let line = empty(['A']);
    for (let i = 0; i < KEEP + 50; i += 1) line = push(line, i, good(i), 1.5, false);
    expect(line.t.length).toBeLessThanOrEqual(KEEP + 2);
    expect(line.t.length).toBe(line.values['A']!.length);
  });

  it('allows a faster clock its longer steps', () => {
    expect(gapLimit(1)).toBe(1.5);
    expect(gapLimit(100)).toBe(150);
  });
});

describe('history', () => {
  it('keeps the gaps the server sends and adds none between its usual steps', () => {
    const found = fromHistory({ t: [1, 2, 3, 4], tags: { A: [1, null, 3, 4] } }, ['A']);
    expect(found.values['A']).toEqual([1, null, 3, 4]);
  });

  it('breaks where points are missing although no null was sent', () => {
    const found = fromHistory({ t: [1, 2, 3, 60, 61], tags: { A: [1, 1, 1, 2, 2] } }, ['A']);
    expect(found.values['A']).toEqual([1, 1, 1, null, 2, 2]);
  });

  it('is empty for what is no history', () => {
    expect(fromHistory(null, ['A']).t).toEqual([]);
    expect(fromHistory({ t: 'x', tags: {} }, ['A']).t).toEqual([]);
  });

  it('draws nothing for a tag that was not sent', () => {
    expect(fromHistory({ t: [1, 2], tags: {} }, ['A']).values['A']).toEqual([null, null]);
  });
});

describe('history and feed together', () => {
  const past = { t: [1, 2, 3], values: { A: [1, 2, 3] } };

  it('follow on without a gap when they touch', () => {
    const found = join(past, { t: [2.8, 3.2, 3.4], values: { A: [9, 4, 5] } }, 1.5);
    expect(found.t).toEqual([1, 2, 3, 3.2, 3.4]);
    expect(found.values['A']).toEqual([1, 2, 3, 4, 5]);
  });

  it('leave a hole between them a hole', () => {
    expect(join(past, { t: [30], values: { A: [4] } }, 1.5).values['A']).toEqual([1, 2, 3, null, 4]);
  });

  it('are cut to the window with one point before it', () => {
    expect(within(past, 2.5).t).toEqual([2, 3]);
  });
});
