/** Questions and requests over HTTP. Nothing here raises: an answer always says what became of it. */

import type { CommandAnswer, CommandRequest, Element, Me, Preview, RecordRow } from './types';

const WAIT_MS = 4000;
export const NOT_REACHED = 'the server does not answer';

interface Reply { status: number; body: Record<string, unknown> }

async function call(method: string, path: string, body?: unknown): Promise<Reply> {
  const given: RequestInit = {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    signal: AbortSignal.timeout(WAIT_MS),
    headers: { 'X-Cellwright': '1', Accept: 'application/json' },
  };
  if (body !== undefined) {
    given.body = JSON.stringify(body);
    given.headers = { ...given.headers, 'Content-Type': 'application/json' };
  }
  try {
    const response = await fetch(path, given);
    const text = await response.text();
    let found: unknown = {};
    try {
      found = text ? JSON.parse(text) : {};
    } catch {
      found = {};
    }
    const whole = typeof found === 'object' && found !== null && !Array.isArray(found);
    return { status: response.status, body: whole ? (found as Record<string, unknown>) : { rows: found } };
  } catch {
    return { status: 0, body: {} };
  }
}

function why(reply: Reply): string {
  const said = reply.body['why'] ?? reply.body['detail'];
  if (typeof said === 'string' && said) return said;
  return reply.status === 0 ? NOT_REACHED : `the server answered ${reply.status}`;
}

export interface LogIn { me: Me | null; mustChange: boolean; why: string; wait_s: number }

export async function logIn(user: string, password: string, fresh: string): Promise<LogIn> {
  const body = fresh ? { user, password, new_password: fresh } : { user, password };
  const reply = await call('POST', '/api/login', body);
  const wait = Number(reply.body['wait_s'] ?? 0);
  if (reply.status === 200) {
    return { me: reply.body as unknown as Me, mustChange: false, why: '', wait_s: 0 };
  }
  return {
    me: null, mustChange: reply.body['must_change'] === true, why: why(reply),
    wait_s: Number.isFinite(wait) ? wait : 0,
  };
}

export async function logOut(): Promise<void> {
  await call('POST', '/api/logout', {});
}

/** Who this browser is; null: nobody; undefined: the server was not reached. */
export async function whoAmI(): Promise<Me | null | undefined> {
  const reply = await call('GET', '/api/me');
  if (reply.status === 0 || reply.status >= 500) return undefined;
  return reply.status === 200 ? (reply.body as unknown as Me) : null;
}

export async function hold(pressedMs: number): Promise<CommandAnswer> {
  return answered(await call('POST', '/api/hold', { pressed_ms: Math.round(pressedMs) }));
}

export async function command(request: CommandRequest): Promise<CommandAnswer> {
  return answered(await call('POST', '/api/command', request));
}

function answered(reply: Reply): CommandAnswer {
  const accepted = reply.status === 200 && reply.body['accepted'] === true;
  const id = typeof reply.body['id'] === 'number' ? reply.body['id'] : null;
  const kind = typeof reply.body['kind'] === 'string' ? reply.body['kind'] : '';
  return { accepted, id, kind, why: accepted ? String(reply.body['why'] ?? '') : why(reply), status: reply.status };
}

export async function unit(): Promise<unknown> {
  const reply = await call('GET', '/api/unit');
  return reply.status === 200 ? reply.body : null;
}

/** One element of the procedure; a text says why there is none. */
export async function element(path: string): Promise<Element | string> {
  const reply = await call('GET', `/api/element?path=${encodeURIComponent(path)}`);
  return reply.status === 200 ? (reply.body as unknown as Element) : why(reply);
}

/** What a change would do; nothing is changed by asking. */
export async function preview(target: string, value: string): Promise<Preview> {
  const asked = `target=${encodeURIComponent(target)}&value=${encodeURIComponent(value)}`;
  const reply = await call('GET', `/api/change?${asked}`);
  if (reply.status === 200) return reply.body as unknown as Preview;
  return { allowed: false, why: why(reply), old: '', new: '', follows: [], expected: '' };
}

export async function history(
  tags: readonly string[], fromS: number, toS: number,
): Promise<Record<string, unknown> | null> {
  const names = encodeURIComponent(tags.join(','));
  const reply = await call('GET', `/api/history?tags=${names}&from_s=${fromS}&to_s=${toS}`);
  return reply.status === 200 ? reply.body : null;
}

/** Rows of the record; `events`: how the names of the wanted ones begin, none: all. */
export async function records(
  before: number | null, limit: number, events: readonly string[] = [],
): Promise<RecordRow[] | null> {
  const start = before === null ? '' : `before=${before}&`;
  const wanted = events.length > 0 ? `&events=${encodeURIComponent(events.join(','))}` : '';
  const reply = await call('GET', `/api/record?${start}limit=${limit}${wanted}`);
  if (reply.status !== 200) return null;
  const rows = reply.body['rows'];
  return Array.isArray(rows) ? (rows as RecordRow[]) : null;
}
