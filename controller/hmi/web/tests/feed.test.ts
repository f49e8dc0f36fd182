import { beforeEach, describe, expect, it } from 'vitest';
import { BACKOFF_MS, Feed, FeedError, merge, parse, type Socket } from '../src/lib/feed';
import type { Delta, Snapshot } from '../src/lib/types';

const WHOLE = {
  seq: 5, scan: 50, generation: 1, mono_ns: '1', utc: '2026-01-05T08:00:00.000+00:00', speed: 1, scan_age_ms: 0,
  tags: { A: [1, 'good', '', 0], B: [2, 'good', '', 0] }, links: {}, loops: {}, outputs: {}, orders: {},
  causes: [{ row: '1' }], prompts: [],
} as unknown as Snapshot;

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  close(): void {
    this.closed = true;
  }
  say(message: unknown): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }
}

class FakeTimers {
  waiting = new Map<number, { act: () => void; ms: number }>();
  next = 1;
  later = (act: () => void, ms: number): number => {
    this.waiting.set(this.next, { act, ms });
    return this.next++;
  };
  never = (id: number): void => void this.waiting.delete(id);
  /** Lets the only timer of this length go off. */
  fire(ms: number): void {
    const [id, timer] = [...this.waiting].find(([, item]) => item.ms === ms)!;
    this.waiting.delete(id);
    timer.act();
  }
  get lengths(): number[] {
    return [...this.waiting.values()].map((item) => item.ms);
  }
}

describe('a delta', () => {
  it('changes entries by name, ends those that are null, and replaces lists whole', () => {
    const delta = { type: 'delta', base: 5, seq: 6, tags: { B: [3, 'bad', 'too old', 4000], A: null }, causes: [] };
    const next = merge(WHOLE, delta as unknown as Delta);
    expect(next.seq).toBe(6);
    expect(next.tags).toEqual({ B: [3, 'bad', 'too old', 4000] });
    expect(next.causes).toEqual([]);
    expect(WHOLE.tags['A']).toBeDefined();
  });

  it('is refused when it belongs to another snapshot', () => {
    expect(() => merge(WHOLE, { type: 'delta', base: 4, seq: 6 })).toThrow(FeedError);
  });

  it('is refused when it goes backwards', () => {
    expect(() => merge(WHOLE, { type: 'delta', base: 5, seq: 5 })).toThrow(FeedError);
  });
});

describe('a message', () => {
  it.each(['', 'null', '[]', '{"type":"full"}', '{"seq":1,"type":"other"}', '<b>'])('%j is not one', (text) => {
    expect(() => parse(text)).toThrow(FeedError);
  });
});

describe('the feed', () => {
  let sockets: FakeSocket[];
  let timers: FakeTimers;
  let said: string[];
  let feed: Feed;

  beforeEach(() => {
    sockets = [];
    timers = new FakeTimers();
    said = [];
    feed = new Feed(
      () => {
        const made = new FakeSocket();
        sockets.push(made);
        return made;
      },
      {
        opened: () => said.push('opened'), closed: () => said.push('closed'), refused: () => said.push('refused'),
        beat: (seq) => said.push(`beat ${seq}`), snapshot: (snapshot) => said.push(`seq ${snapshot.seq}`),
      },
      timers,
    );
    feed.start();
  });

  it('hands on full frames, deltas and beats in order', () => {
    sockets[0]!.onopen?.();
    sockets[0]!.say({ type: 'full', ...WHOLE });
    sockets[0]!.say({ type: 'delta', base: 5, seq: 6 });
    sockets[0]!.say({ type: 'beat', seq: 6 });
    expect(said).toEqual(['opened', 'seq 5', 'seq 6', 'beat 6']);
  });

  it('connects again after 0.25, 0.5 and then each 1 s, and begins anew after data came', () => {
    for (const wait of [...BACKOFF_MS, 1000]) {
      sockets.at(-1)!.onclose?.();
      timers.fire(wait);
    }
    expect(sockets).toHaveLength(5);
    sockets.at(-1)!.say({ type: 'full', ...WHOLE });
    sockets.at(-1)!.onclose?.();
    expect(timers.lengths).toEqual([250]);
  });

  it('drops a connection whose deltas do not fit and asks for a whole frame', () => {
    sockets[0]!.say({ type: 'full', ...WHOLE });
    sockets[0]!.say({ type: 'delta', base: 9, seq: 10 });
    expect(sockets[0]!.closed).toBe(true);
    timers.fire(250);
    expect(sockets).toHaveLength(2);
    sockets[1]!.say({ type: 'delta', base: 5, seq: 6 });
    expect(said.filter((word) => word.startsWith('seq'))).toEqual(['seq 5']);
  });

  it('asks whether there is a session only when a connection ends before its first frame', () => {
    sockets[0]!.onclose?.();
    expect(said).toEqual(['closed', 'refused']);
    timers.fire(250);
    sockets[1]!.say({ type: 'full', ...WHOLE });
    sockets[1]!.onclose?.();
    expect(said.filter((word) => word === 'refused')).toHaveLength(1);
  });

  it('leaves a server that neither speaks nor hangs up', () => {
    sockets[0]!.say({ type: 'full', ...WHOLE });
    timers.fire(5000);
    expect(sockets[0]!.closed).toBe(true);
    expect(timers.lengths).toEqual([250]);
  });

  it('takes nothing from a socket that was left', () => {
    const old = sockets[0]!;
    const hears = old.onmessage;
    old.onclose?.();
    timers.fire(250);
    hears?.({ data: JSON.stringify({ type: 'full', ...WHOLE }) });
    expect(said).toEqual(['closed', 'refused']);
  });

  it('stays closed when it was stopped', () => {
    feed.stop();
    expect(sockets[0]!.closed).toBe(true);
    expect(timers.lengths).toEqual([]);
  });
});
