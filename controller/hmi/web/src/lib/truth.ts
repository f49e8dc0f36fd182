/**
 * What on this screen is live. Pure: time is passed in.
 *
 * Live means that `seq` and `scan` ADVANCED while this connection watched. A message alone proves
 * the link, not the data; a snapshot alone proves nothing about now.
 */

/** So that a person sees within 2 s that something stopped; the server beats each second. */
export const LIMIT_MS = 1200;
const WINDOW_MS = 300_000;

export interface Clocked {
  seq: number;
  scan: number;
  generation: number;
  mono_ns: string;
  speed: number;
  scan_age_ms: number;
}

export interface Watch {
  /** Last message of any kind in this connection, or the last one ever. */
  messageMs: number;
  /** When seq, and when scan, was last seen to advance. */
  seqMs: number;
  scanMs: number;
  connected: boolean;
  seq: number;
  scan: number;
  generation: number;
  scanAgeMs: number;
  /** The last frame arrived this much later than the fastest of the last minutes. */
  lateMs: number;
  advancedSeq: boolean;
  advancedScan: boolean;
  lags: { bucket: number; least: number }[];
}

export interface Sign { live: boolean; ageMs: number; text: string }
export interface Judgement { link: Sign; source: Sign; live: boolean; why: string }

export function begin(nowMs: number): Watch {
  return {
    messageMs: nowMs, seqMs: nowMs, scanMs: nowMs, connected: false, seq: -1, scan: -1,
    generation: -1, scanAgeMs: 0, lateMs: 0, advancedSeq: false, advancedScan: false, lags: [],
  };
}

/** A new connection proves nothing yet: its first snapshot is only what later ones are compared to. */
export function opened(watch: Watch): Watch {
  return {
    ...watch, connected: true, advancedSeq: false, advancedScan: false, seq: -1, scan: -1,
    generation: -1, lateMs: 0, lags: [],
  };
}

export function closed(watch: Watch): Watch {
  return { ...watch, connected: false, advancedSeq: false, advancedScan: false };
}

/** A message without news: the link lives, the data does not move. */
export function beat(watch: Watch, nowMs: number): Watch {
  return { ...watch, messageMs: nowMs };
}

export function took(watch: Watch, frame: Clocked, nowMs: number): Watch {
  const next = { ...watch, messageMs: nowMs, scanAgeMs: frame.speed === 1 ? frame.scan_age_ms : 0 };
  if (watch.seq >= 0 && frame.seq > watch.seq) {
    next.seqMs = nowMs;
    next.advancedSeq = true;
  }
  if (watch.scan >= 0 && frame.generation === watch.generation && frame.scan > watch.scan) {
    next.scanMs = nowMs;
    next.advancedScan = true;
  }
  // A new field counts its scans anew: what it says becomes live with its next scan.
  if (watch.generation >= 0 && frame.generation !== watch.generation) next.advancedScan = false;
  next.seq = frame.seq;
  next.scan = frame.scan;
  next.generation = frame.generation;
  if (frame.speed === 1) {
    const lag = nowMs - Number(BigInt(frame.mono_ns) / 1000n) / 1000;
    next.lags = note(watch.lags, lag, nowMs);
    next.lateMs = Math.max(0, lag - Math.min(...next.lags.map((item) => item.least)));
  } else {
    next.lags = [];
    next.lateMs = 0;
  }
  return next;
}

/** Frames that were queued somewhere arrive in order and look like news: their delay betrays them. */
function note(lags: Watch['lags'], lag: number, nowMs: number): Watch['lags'] {
  const bucket = Math.floor(nowMs / WINDOW_MS);
  const kept = lags.filter((item) => item.bucket >= bucket - 1);
  const last = kept.at(-1);
  if (last?.bucket === bucket) {
    return [...kept.slice(0, -1), { bucket, least: Math.min(last.least, lag) }];
  }
  return [...kept, { bucket, least: lag }];
}

export function judge(watch: Watch, nowMs: number): Judgement {
  const link = judgeLink(watch, nowMs);
  const source = judgeSource(watch, nowMs);
  const live = link.live && source.live;
  return { link, source, live, why: live ? '' : link.live ? source.text : link.text };
}

function judgeLink(watch: Watch, nowMs: number): Sign {
  const ageMs = Math.max(nowMs - watch.messageMs, watch.lateMs, 0);
  const live = watch.connected && ageMs <= LIMIT_MS;
  if (live) return { live, ageMs, text: 'LINK LIVE' };
  if (watch.connected && watch.lateMs > LIMIT_MS && nowMs - watch.messageMs <= LIMIT_MS) {
    return { live, ageMs, text: `DATA ARRIVES ${seconds(watch.lateMs)} LATE` };
  }
  return { live, ageMs, text: `NO DATA FROM THE SERVER for ${seconds(ageMs)}` };
}

function judgeSource(watch: Watch, nowMs: number): Sign {
  const seqAge = Math.max(0, nowMs - watch.seqMs);
  const scanAge = Math.max(0, nowMs - watch.scanMs, watch.scanAgeMs + nowMs - watch.seqMs);
  const ageMs = Math.max(seqAge, scanAge);
  const live = watch.connected && watch.advancedSeq && watch.advancedScan && ageMs <= LIMIT_MS;
  if (live) return { live, ageMs, text: 'SOURCE LIVE' };
  if (watch.advancedSeq && seqAge <= LIMIT_MS) {
    return { live, ageMs: scanAge, text: `THE CONTROLLER DOES NOT SCAN for ${seconds(scanAge)}` };
  }
  return { live, ageMs: seqAge, text: `NO NEW DATA FROM THE CONTROLLER for ${seconds(seqAge)}` };
}

/** `3 s`, `2 min 05 s`, `1 h 02 min`: an age as people say it. */
export function seconds(ms: number): string {
  const whole = Math.max(0, Math.floor(ms / 1000));
  if (whole < 120) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 120) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** The third sign, apart from the two above: what the values themselves say. */
export function judgeTags(
  tags: Record<string, [number | null, string, string, number]>,
  links: Record<string, { state: string; age_ms: number }>,
): { good: number; uncertain: number; bad: number; silent: string[]; ok: boolean; text: string } {
  let good = 0;
  let uncertain = 0;
  let bad = 0;
  for (const [, quality] of Object.values(tags)) {
    if (quality === 'good') good += 1;
    else if (quality === 'uncertain') uncertain += 1;
    else bad += 1;
  }
  const silent = Object.keys(links).filter((name) => linkSilent(links[name]!.state));
  const parts: string[] = [];
  if (silent.length > 0) parts.push(`LINK ${silent.join(', ')} SILENT`);
  if (bad > 0) parts.push(`${bad} BAD`);
  if (uncertain > 0) parts.push(`${uncertain} UNCERTAIN`);
  const ok = parts.length === 0;
  return { good, uncertain, bad, silent, ok, text: ok ? `${good} TAGS GOOD` : parts.join(' · ') };
}

export function linkSilent(state: string): boolean {
  return ['lost', 'silent', 'bad'].includes(state);
}
