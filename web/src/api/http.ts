/**
 * One way to call the mall: JSON in and out, a session renewed once, refusals as one type.
 *
 * Cookies are the session and are never read here; whoever has to sign in again is told by
 * `onSignedOut`, and whether the page still shows the person whose cookies are sent is asked by
 * `onWrite`, both set by the session. Nothing is stored by the browser: a page and its data share
 * an address, and going back must never show the data.
 */
import { local } from '../kept';
import type { FieldError, Problem } from './wire';

/** How long a refusal lasts when it does not say so itself. */
const RETRY_SECONDS = 3;
/** How long an answer is waited for: a mall that takes what is sent and says nothing has not been reached. */
const ANSWER_MS_MAX = 15_000;
/** When the session was last renewed, in milliseconds, over all tabs. */
const RENEWED_AS = 'renewedAt';
/** What changes the session happens in one tab at a time. */
const LOCK = 'session';

/** Why what was asked for could not be done now: too many ask, something stands still, no network. */
export type Trouble = 'busy' | 'down' | 'offline';

/** Which trouble an answer speaks of; `status` 0 is none at all. `proxy` is its `Proxy-Status`. */
export function troubleOf(status: number, proxy = '', online = true): Trouble | undefined {
  if (status === 0) return online ? 'down' : 'offline';
  if (status === 429) return 'busy';
  if (status === 502) return 'down';
  if (status !== 503 && status !== 504) return undefined;
  return !proxy || /request_denied|limit_reached|response_timeout/.test(proxy) ? 'busy' : 'down';
}

/** The mall said no, or (`status` 0) could not be reached. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
    /** Set where the same call may be sent again: seconds to wait before. */
    readonly retrySeconds: number | undefined,
    readonly trouble: Trouble | undefined = troubleOf(status),
  ) {
    super(problem.detail ?? problem.title ?? `refused. status=\`${status}\``);
  }

  get errors(): FieldError[] {
    return this.problem.errors ?? [];
  }
}

export interface Call {
  json?: unknown;
  form?: Record<string, string>;
  headers?: Record<string, string>;
  /** The call is itself about the session: a 401 is its answer, not a reason to renew. */
  bare?: boolean;
  /** What is answered is nobody's own: it is for whoever is here by then. */
  open?: boolean;
}

export interface Answer<T> {
  body: T;
  /** `Yeoul-Position`: what a read must include to be no older than this write. */
  position: string | null;
  /** `Yeoul-Stale-Since`: the answer is from then. */
  staleSince: string | null;
  /** `ETag`: names what was read, for a change of nothing else. */
  etag: string | null;
}

/** What a call is refused with whose answer came when who had asked was gone. */
export const LEFT = -4;

let signedOut: (method: string) => void = () => {};
let admit: (as?: unknown) => unknown = () => undefined;
let stayed: () => () => Promise<boolean> = () => async () => true;
let renewing: Promise<boolean> | undefined;

export function onSignedOut(handler: (method: string) => void): void {
  signedOut = handler;
}

/**
 * `check` names who is about to send something, and throws where that is no longer the signed-in
 * person, or is another than it had named (`as`).
 */
export function onWrite(check: (as?: unknown) => unknown): void {
  admit = check;
}

/** `begin` names who asks; what it gives back says whether they are still the one who is here. */
export function onAnswer(begin: typeof stayed): void {
  stayed = begin;
}

/** An answer or a refusal is for who asked: nobody else is shown it, or what it leads to. */
export async function call<T>(method: string, path: string, how: Call = {}): Promise<Answer<T>> {
  const still = stayed();
  const asked = ask<T>(method, path, how);
  if (how.bare || how.open) return asked;
  await asked.catch(() => undefined);
  if (!(await still())) throw new Refused(LEFT, {}, undefined);
  return asked;
}

async function ask<T>(method: string, path: string, how: Call): Promise<Answer<T>> {
  const sentAt = Date.now();
  const isWrite = method !== 'GET' && !how.bare;
  const as = isWrite && admit();
  let response = await send(method, path, how);
  if (response.status === 401 && !how.bare) {
    if (await renewSession(sentAt)) {
      if (isWrite) admit(as);
      response = await send(method, path, how);
    }
    if (response.status === 401) signedOut(method);
  }
  if (!response.ok) throw await refusal(response);
  const text = await response.text();
  return {
    body: (text ? JSON.parse(text) : undefined) as T,
    position: response.headers.get('Yeoul-Position'),
    staleSince: response.headers.get('Yeoul-Stale-Since'),
    etag: response.headers.get('ETag'),
  };
}

/**
 * Renews the session from its refresh cookie: once, however many calls and tabs need it. False
 * where the session has ended; throws where that is not known.
 *
 * `since` is when the call that was refused had been sent: a renewal after that was its renewal.
 */
export function renewSession(since = Date.now()): Promise<boolean> {
  renewing ??= alone(() => renew(since)).finally(() => (renewing = undefined));
  return renewing;
}

/** Runs `act` while no other tab does the like; where there are no locks it just runs. */
export function alone<T>(act: () => Promise<T>): Promise<T> {
  return navigator.locks ? (navigator.locks.request(LOCK, act) as Promise<T>) : act();
}

async function renew(since: number): Promise<boolean> {
  // What another tab stored may reach this one's process after its lock did; its cookies do not.
  if (Number(local.get(RENEWED_AS)) >= since || (await isSignedIn())) return true;
  const response = await send('PUT', '/oauth/session', { bare: true });
  if (response.status === 401) return false;
  if (!response.ok) throw await refusal(response);
  local.set(RENEWED_AS, String(Date.now()));
  return true;
}

async function isSignedIn(): Promise<boolean> {
  return (await send('GET', '/oauth/me', { bare: true })).ok;
}

async function send(method: string, path: string, how: Call): Promise<Response> {
  const headers = new Headers({ Accept: 'application/json', ...how.headers });
  const request: RequestInit = { method, headers, cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS_MAX) };
  if (how.json !== undefined) {
    headers.set('Content-Type', 'application/json');
    request.body = JSON.stringify(how.json);
  } else if (how.form) {
    request.body = new URLSearchParams(how.form);
  }
  // Who leaves is heard out.
  if (how.bare) request.keepalive = method === 'DELETE';
  try {
    return await fetch(path, request);
  } catch {
    throw new Refused(0, {}, RETRY_SECONDS, troubleOf(0, '', navigator.onLine));
  }
}

async function refusal(response: Response): Promise<Refused> {
  const { status } = response;
  const problem = await response.json().catch(() => ({}));
  const trouble = troubleOf(status, response.headers.get('Proxy-Status') ?? '');
  return new Refused(status, problem as Problem, trouble && retrySeconds(response), trouble);
}

function retrySeconds(response: Response): number {
  const seconds = Number(response.headers.get('Retry-After'));
  return Number.isFinite(seconds) && seconds >= 1 ? Math.ceil(seconds) : RETRY_SECONDS;
}
