/** The live feed: one socket, full frames and deltas, and a reconnect that never gives up. */

import type { Delta, FeedMessage, Snapshot } from './types';

export const BACKOFF_MS = [250, 500, 1000];
const SILENT_MS = 5000;
const MAX_FRAME = 2_000_000;
/** These hold one entry per name: a delta names only the entries that changed, null ends one. */
const BY_NAME = ['links', 'tags', 'loops', 'outputs', 'orders', 'procedure'] as const;

export class FeedError extends Error {}

/** One message made of text; raises FeedError for what is not one. */
export function parse(text: string): FeedMessage {
  if (text.length > MAX_FRAME) throw new FeedError('frame too long');
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new FeedError('not JSON');
  }
  const message = found as FeedMessage;
  if (typeof message !== 'object' || message === null || typeof message.seq !== 'number') {
    throw new FeedError('no sequence number');
  }
  if (message.type !== 'full' && message.type !== 'delta' && message.type !== 'beat') {
    throw new FeedError('unknown type of message');
  }
  return message;
}

/** The snapshot after a delta. Raises FeedError when the delta does not fit on this snapshot. */
export function merge(old: Snapshot, delta: Delta): Snapshot {
  if (delta.base !== old.seq) throw new FeedError(`delta on ${delta.base}, here is ${old.seq}`);
  if (typeof delta.seq !== 'number' || delta.seq <= old.seq) throw new FeedError('not newer');
  const { type: _type, base: _base, ...changed } = delta;
  const next = { ...old, ...changed } as Snapshot;
  for (const key of BY_NAME) {
    const part = changed[key];
    if (part === undefined) continue;
    const whole: Record<string, unknown> = { ...old[key] };
    for (const [name, value] of Object.entries(part)) {
      if (value === null) delete whole[name];
      else whole[name] = value;
    }
    (next as unknown as Record<string, unknown>)[key] = whole;
  }
  return next;
}

export interface FeedEvents {
  /** The connection stands; nothing it says is live yet. */
  opened(): void;
  closed(): void;
  snapshot(snapshot: Snapshot): void;
  beat(seq: number): void;
  /** A connection was refused or lost before its first frame: is there still a session? */
  refused(): void;
}

export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  close(): void;
}

export interface Timers {
  later(act: () => void, ms: number): number;
  never(id: number): void;
}

const BROWSER: Timers = {
  later: (act, ms) => window.setTimeout(act, ms),
  never: (id) => window.clearTimeout(id),
};

export class Feed {
  private socket: Socket | null = null;
  private snapshot: Snapshot | null = null;
  private tries = 0;
  private timer = 0;
  private silence = 0;
  private stopped = true;

  constructor(
    private readonly open: () => Socket,
    private readonly events: FeedEvents,
    private readonly timers: Timers = BROWSER,
  ) {}

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.tries = 0;
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    this.timers.never(this.timer);
    this.timers.never(this.silence);
    const socket = this.socket;
    this.socket = null;
    if (socket) this.drop(socket);
  }

  /** Ends a connection that is open and useless; the next one follows. */
  renew(): void {
    if (this.socket) this.lost(this.socket);
  }

  private connect(): void {
    this.snapshot = null;
    const socket = this.open();
    this.socket = socket;
    socket.onopen = () => {
      if (socket === this.socket) this.events.opened();
    };
    socket.onmessage = (event) => {
      if (socket === this.socket) this.receive(socket, event.data);
    };
    socket.onclose = () => this.lost(socket);
    socket.onerror = () => this.lost(socket);
    this.listen(socket);
  }

  /** A server that is frozen neither speaks nor hangs up: after a while, try another connection. */
  private listen(socket: Socket): void {
    this.timers.never(this.silence);
    this.silence = this.timers.later(() => this.lost(socket), SILENT_MS);
  }

  private receive(socket: Socket, data: unknown): void {
    this.listen(socket);
    try {
      const message = parse(String(data));
      if (message.type === 'beat') {
        this.events.beat(message.seq);
        return;
      }
      if (message.type === 'full') {
        const { type: _type, ...snapshot } = message;
        if (this.snapshot && snapshot.seq < this.snapshot.seq) throw new FeedError('older frame');
        this.snapshot = snapshot;
      } else {
        if (!this.snapshot) throw new FeedError('delta before a full frame');
        this.snapshot = merge(this.snapshot, message);
      }
      this.tries = 0;
      this.events.snapshot(this.snapshot);
    } catch (error) {
      if (!(error instanceof FeedError)) throw error;
      this.lost(socket);
    }
  }

  private drop(socket: Socket): void {
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  private lost(socket: Socket): void {
    if (socket !== this.socket) return;
    this.socket = null;
    const early = this.snapshot === null;
    this.drop(socket);
    this.timers.never(this.silence);
    this.events.closed();
    if (this.stopped) return;
    if (early) this.events.refused();
    const wait = BACKOFF_MS[Math.min(this.tries, BACKOFF_MS.length - 1)]!;
    this.tries += 1;
    this.timer = this.timers.later(() => {
      if (!this.stopped) this.connect();
    }, wait);
  }
}
