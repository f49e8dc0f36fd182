/** The state of this screen: who looks, what the feed said last, how far that may be believed. */

import * as api from './api';
import { Feed, type Socket } from './feed';
import { readUnit, type UnitModel } from './model';
import { rule } from './rules';
import { beat, begin, closed, judge, judgeTags, opened, took, type Judgement } from './truth';
import type { Cause, CommandInFeed, Me, Preview, SignatureInput, Snapshot } from './types';

export type Page = 'unit' | 'batch' | 'trends' | 'alarms' | 'record';
export type HoldStage =
  | 'idle' | 'pressing' | 'requested' | 'accepted' | 'held' | 'already' | 'refused' | 'late' | 'unreachable';
export const PAGES: readonly { page: Page; title: string }[] = [
  { page: 'unit', title: 'Unit' }, { page: 'batch', title: 'Batch' },
  { page: 'trends', title: 'Trends' }, { page: 'alarms', title: 'Alarms' },
  { page: 'record', title: 'Record' },
];

/** Something a person is about to ask for; the dialog shows it and asks for what is missing. */
export interface Act {
  verb: string;
  target: string;
  title: string;
  value: string;
  expected: string;
  consequence?: string;
  warning?: string;
  signatures?: 0 | 1 | 2;
  reason?: boolean;
  meaning?: string;
  secondMeaning?: string;
  signers?: string[];
  second?: string[];
  fields?: ActField[];
  /** Makes the value out of the fields. */
  compose?: (filled: Record<string, string>) => string;
  /** Makes the target out of the fields, where it is chosen in the dialog. */
  targetOf?: (filled: Record<string, string>) => string;
  /** Asks what the value would do, and whether it can be, while it is being typed. */
  look?: (value: string) => Promise<Preview>;
  go: string;
  /** The bytes of a file of results, in base64. */
  file?: string;
}
export interface ActField {
  name: string;
  label: string;
  kind: 'text' | 'number' | 'choice';
  hint?: string;
  options?: string[];
  start?: string;
  low?: number;
  high?: number;
  /** How many characters at most. */
  max?: number;
  /** It may stay empty. */
  optional?: boolean;
}

/** A request of this browser until the feed tells of it. */
export interface Asked {
  key: number;
  verb: string;
  target: string;
  value: string;
  stage: 'requested' | 'accepted' | 'refused' | 'unknown';
  id: number | null;
  why: string;
  atMs: number;
}

const TICK_MS = 100;
const SESSION_MS = 20_000;
const ASKED_MAX = 8;
const LATE_RENEW_MS = 5000;

/** The larger of two clocks: one may stop while the machine sleeps, the other may be set. */
const wallStart = Date.now() - performance.now();
function nowMs(): number {
  return Math.max(performance.now(), Date.now() - wallStart);
}

export class Screen {
  me = $state.raw<Me | null>(null);
  /** Until the first answer to "who am I" nobody is shown as logged out. */
  asked = $state(false);
  notice = $state('');
  page = $state<Page>('unit');
  snapshot = $state.raw<Snapshot | null>(null);
  unit = $state.raw<UnitModel>(readUnit({}));
  judgement = $state.raw<Judgement>(judge(begin(0), 0));
  requests = $state.raw<Asked[]>([]);
  act = $state.raw<Act | null>(null);
  live = $state(false);
  /** Set when the server takes this session for view only. */
  viewOnly = $state(false);
  demo = $state(told('demo'));
  /** The devices are simulated, as far as the server says so. */
  simulated = $state(told('simulated'));
  frames: ((snapshot: Snapshot, broken: boolean) => void)[] = [];

  private watch = begin(nowMs());
  private broken = false;
  private keys = 0;
  private lostSinceMs = -1;
  private readonly feed = new Feed(socket, {
    opened: () => {
      this.watch = opened(this.watch);
    },
    closed: () => {
      this.watch = closed(this.watch);
      this.broken = true;
      this.look();
    },
    snapshot: (snapshot) => this.take(snapshot),
    beat: () => {
      this.watch = beat(this.watch, nowMs());
      this.look();
    },
    refused: () => void this.stillMe(),
  });

  get tags(): ReturnType<typeof judgeTags> {
    return judgeTags(this.snapshot?.tags ?? {}, this.snapshot?.links ?? {});
  }

  async begin(): Promise<void> {
    const go = (): void => {
      const page = location.hash.slice(1);
      if (PAGES.some((item) => item.page === page)) this.page = page as Page;
    };
    go();
    window.addEventListener('hashchange', go);
    document.addEventListener('visibilitychange', () => this.look());
    window.setInterval(() => this.look(), TICK_MS);
    // A session that was idle too long becomes view only without a word from anybody.
    window.setInterval(() => void (this.me && this.live && this.stillMe()), SESSION_MS);
    let me = await api.whoAmI();
    while (me === undefined) {
      this.notice = `${api.NOT_REACHED}; trying again`;
      await new Promise((done) => setTimeout(done, 1000));
      me = await api.whoAmI();
    }
    this.notice = '';
    this.asked = true;
    if (me) await this.enter(me);
  }

  async enter(me: Me): Promise<void> {
    this.me = me;
    this.viewOnly = me.view_only === true;
    this.notice = '';
    this.demo = this.demo || me.demo === true;
    this.simulated = this.simulated || me.simulated === true;
    this.watch = begin(nowMs());
    this.look();
    this.feed.start();
    await this.describe();
  }

  async leave(notice: string, tell: boolean): Promise<void> {
    if (tell) await api.logOut();
    this.feed.stop();
    this.me = null;
    this.act = null;
    this.snapshot = null;
    this.requests = [];
    this.unit = readUnit({});
    this.notice = notice;
  }

  /** The description of the unit; asked again until it is there. */
  private async describe(): Promise<void> {
    while (this.me) {
      const found = await api.unit();
      if (found !== null) {
        this.unit = readUnit(found);
        return;
      }
      await new Promise((done) => setTimeout(done, 1000));
    }
  }

  private async stillMe(): Promise<void> {
    const me = await api.whoAmI();
    if (me === null && this.me) await this.leave('The session has ended. Log in again.', false);
    else if (me && this.me) this.viewOnly = me.view_only === true;
  }

  private take(snapshot: Snapshot): void {
    const before = this.snapshot;
    this.watch = took(this.watch, snapshot, nowMs());
    const news = before === null || snapshot.seq !== before.seq || snapshot.scan !== before.scan;
    this.snapshot = snapshot;
    if (snapshot.speed !== 1 || snapshot.procedure.use === 'virtual') this.simulated = true;
    this.look();
    if (news && this.live) {
      for (const each of this.frames) each(snapshot, this.broken);
      this.broken = false;
    }
    if (before && before.generation !== snapshot.generation && this.me) void this.describe();
  }

  private look(): void {
    const now = nowMs();
    const found = judge(this.watch, now);
    if (!found.live) this.broken = true;
    const old = this.judgement;
    if (old.live !== found.live || old.link.text !== found.link.text || old.source.text !== found.source.text) {
      this.judgement = found;
    }
    this.live = found.live;
    // A queue somewhere on the way only empties by a new connection.
    if (this.watch.lateMs < LATE_RENEW_MS) this.lostSinceMs = now;
    else if (now - this.lostSinceMs > LATE_RENEW_MS) {
      this.lostSinceMs = now;
      this.feed.renew();
    }
  }

  /** The row that decides an output now; a row that is not in force decides nothing. */
  forcedBy(output: string): Cause | undefined {
    const row = this.snapshot?.outputs[output]?.forced_by ?? '';
    return this.snapshot?.causes.find((cause) => cause.row === row);
  }

  open(page: Page): void {
    this.page = page;
    history.replaceState(null, '', `#${page}`);
  }

  /** Why a control is disabled; empty: it is not. `signable`: a second person may have the right. */
  blocked(verb: string): string {
    if (!this.me) return 'nobody is logged in';
    if (!this.live) return 'what is shown is not live';
    if (this.viewOnly) return 'this session is view only: log in again';
    if (!this.me.rights.includes(verb)) return `the role ${this.me.role} may not do this`;
    if (this.snapshot?.log.failed) return 'the log cannot be written: only Hold is possible';
    return '';
  }

  /** Sends what needs neither words nor signatures and says what became of it; else opens the dialog. */
  async propose(act: Act): Promise<Asked | null> {
    const known = rule(act.verb, this.unit.rules);
    const whole: Act = {
      ...act, signatures: act.signatures ?? known.signatures, reason: act.reason ?? known.reason,
      meaning: known.meaning || act.title, secondMeaning: known.secondMeaning,
      signers: known.signers, second: known.second,
    };
    const quiet = !whole.signatures && !whole.reason && !whole.fields && !whole.consequence;
    if (quiet) return this.send(whole, whole.value, '', []);
    this.act = whole;
    return null;
  }

  async send(act: Act, value: string, reason: string, signatures: SignatureInput[]): Promise<Asked> {
    const seen = this.snapshot?.mono_ns ?? '-1';
    this.keys += 1;
    const asked: Asked = {
      key: this.keys, verb: act.verb, target: act.target, value, stage: 'requested', id: null,
      why: '', atMs: Date.now(),
    };
    this.note(asked);
    const answer = await api.command({
      verb: act.verb, target: act.target, value, reason, expected: act.expected, seen, signatures,
      ...(act.file ? { file: act.file } : {}),
    });
    const stage = answer.accepted ? 'accepted' : answer.status === 0 || answer.status === 504
      ? 'unknown' : 'refused';
    if (answer.kind === 'unauthenticated') void this.stillMe();
    const done: Asked = { ...asked, stage, id: answer.id, why: answer.why };
    this.note(done);
    return done;
  }

  dismiss(key: number): void {
    this.requests = this.requests.filter((item) => item.key !== key);
  }

  /** What the feed says about a request of this browser, once it says something. */
  told(asked: Asked): CommandInFeed | null {
    if (asked.id === null) return null;
    return this.snapshot?.commands.find((item) => item.id === asked.id) ?? null;
  }

  private note(asked: Asked): void {
    const others = this.requests.filter((item) => item.key !== asked.key);
    this.requests = [asked, ...others].sort((a, b) => b.key - a.key).slice(0, ASKED_MAX);
  }
}

function socket(): Socket {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return new WebSocket(`${scheme}://${location.host}/api/feed`) as unknown as Socket;
}

/** What the server says about itself in the page, before anybody is logged in. */
function told(what: 'demo' | 'simulated'): boolean {
  const meta = document.querySelector(`meta[name="cellwright-${what}"]`);
  return meta?.getAttribute('content') === 'true';
}

export const screen = new Screen();
