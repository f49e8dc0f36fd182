import { describe, expect, it } from 'vitest';
import { beat, begin, closed, judge, judgeTags, LIMIT_MS, opened, seconds, took, type Clocked, type Watch } from '../src/lib/truth';

function frame(seq: number, scan: number, atMs: number, more: Partial<Clocked> = {}): Clocked {
  return { seq, scan, generation: 1, mono_ns: String(BigInt(Math.round(atMs)) * 1_000_000n), speed: 1, scan_age_ms: 40, ...more };
}

/** Two frames, 200 ms apart, the second at `atMs`. */
function alive(atMs = 1000, seq = 10): Watch {
  const watch = took(opened(begin(atMs - 200)), frame(seq - 1, 100, atMs - 200), atMs - 200);
  return took(watch, frame(seq, 102, atMs), atMs);
}

describe('the source', () => {
  it('is not live after one snapshot, however fresh that looks', () => {
    const watch = took(opened(begin(0)), frame(500, 9000, 10), 10);
    expect(judge(watch, 20).link.live).toBe(true);
    expect(judge(watch, 20).source.live).toBe(false);
  });

  it('is live once sequence and scan both advanced', () => {
    expect(judge(alive(1000), 1200).live).toBe(true);
  });

  it('is stale soon after the last advance although the server still beats', () => {
    let watch = alive(1000);
    watch = beat(watch, 2000);
    watch = beat(watch, 3000);
    expect(judge(watch, 1000 + LIMIT_MS - 50).source.live).toBe(true);
    const found = judge(watch, 4000);
    expect(found.link.live).toBe(true);
    expect(found.source.live).toBe(false);
    expect(found.why).toBe('NO NEW DATA FROM THE CONTROLLER for 3 s');
  });

  it('is stale when snapshots go on and the scan stands', () => {
    let watch = alive(1000);
    for (let at = 1200; at <= 4000; at += 200) watch = took(watch, frame(10 + at / 200, 102, at), at);
    const found = judge(watch, 4100);
    expect(found.link.live).toBe(true);
    expect(found.why).toBe('THE CONTROLLER DOES NOT SCAN for 3 s');
  });

  it('is stale when the server itself says that the newest scan is old', () => {
    const watch = took(alive(1000), frame(11, 104, 1200, { scan_age_ms: 2000 }), 1200);
    expect(judge(watch, 1210).source.live).toBe(false);
  });

  it('does not take an unchanged snapshot sent again as news', () => {
    const watch = took(alive(1000), frame(10, 102, 1000), 2900);
    expect(judge(watch, 2901).live).toBe(false);
  });

  it('waits for the next scan after field was started anew', () => {
    const anew = took(alive(1000), frame(11, 1, 1200, { generation: 2 }), 1200);
    expect(judge(anew, 1250).source.live).toBe(false);
    const scans = took(anew, frame(12, 3, 1400, { generation: 2 }), 1400);
    expect(judge(scans, 1450).live).toBe(true);
  });
});

describe('the link', () => {
  it('is stale soon after the last message, and says for how long', () => {
    const watch = alive(1000);
    expect(judge(watch, 1000 + LIMIT_MS).link.live).toBe(true);
    const found = judge(watch, 4200);
    expect(found.link.live).toBe(false);
    expect(found.why).toBe('NO DATA FROM THE SERVER for 3 s');
  });

  it('is stale at once when the connection is gone', () => {
    expect(judge(closed(alive(1000)), 1010).live).toBe(false);
  });

  it('shows nothing as live after a reconnect until data advanced in the new connection', () => {
    const again = opened(closed(alive(1000)));
    const old = took(again, frame(10, 102, 1000), 5000);
    expect(judge(old, 5010).link.live).toBe(true);
    expect(judge(old, 5010).live).toBe(false);
    expect(judge(old, 5010).why).toContain('NO NEW DATA FROM THE CONTROLLER for 4 s');
    const fresh = took(old, frame(11, 104, 5200), 5200);
    expect(judge(fresh, 5210).live).toBe(true);
  });

  it('counts the sequence of a server that was started anew from its own beginning', () => {
    const first = took(opened(closed(alive(1000, 90_000))), frame(1, 200, 3000), 3000);
    expect(judge(first, 3010).live).toBe(false);
    expect(judge(took(first, frame(2, 202, 3200), 3200), 3210).live).toBe(true);
  });

  it('finds frames that waited in a queue although each is newer than the last', () => {
    const watch = took(alive(1000), frame(11, 104, 1200), 4200);
    const found = judge(watch, 4210);
    expect(found.live).toBe(false);
    expect(found.link.text).toBe('DATA ARRIVES 3 s LATE');
  });

  it('does not hold a drift of two clocks over a day for a queue', () => {
    let watch = alive(0);
    const day = 86_400_000;
    for (let at = 60_000; at <= day; at += 60_000) {
      watch = took(watch, frame(10 + at / 60_000, 102 + at / 100, at * (1 - 50e-6)), at);
    }
    expect(watch.lateMs).toBeLessThan(100);
  });
});

describe('virtual time', () => {
  it('is judged by the browser, not by how fast the stamps run', () => {
    const start = took(opened(begin(0)), frame(1, 1, 0, { speed: 100 }), 0);
    const next = took(start, frame(2, 201, 20_000, { speed: 100, scan_age_ms: 9000 }), 200);
    expect(judge(next, 300).live).toBe(true);
  });
});

describe('the tags', () => {
  it('name a silent link and count what is not good', () => {
    const found = judgeTags(
      { A: [1, 'good', '', 0], B: [null, 'bad', 'too old', 3000], C: [2, 'uncertain', 'mean', 0] },
      { skid: { state: 'silent', age_ms: 2500 }, gas_bus: { state: 'good', age_ms: 0 } },
    );
    expect(found.ok).toBe(false);
    expect(found.text).toBe('LINK skid SILENT · 1 BAD · 1 UNCERTAIN');
  });
});

describe('the limit', () => {
  it('leaves a person less than 2 s of a screen that looks live and is not', () => {
    expect(LIMIT_MS).toBeLessThanOrEqual(1500);
    expect(LIMIT_MS).toBeGreaterThan(1000);
  });
});

describe('ages', () => {
  it('are written as people say them', () => {
    expect(seconds(3999)).toBe('3 s');
    expect(seconds(125_000)).toBe('2 min 05 s');
    expect(seconds(3_720_000 * 2)).toBe('2 h 04 min');
  });
});
