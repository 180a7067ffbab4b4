/**
 * One way to call the mall: JSON in and out, a session renewed once, refusals as one type.
 *
 * Cookies are the session and are never read here; whoever has to sign in again is told by
 * `onSignedOut`, set by the session.
 */
import type { FieldError, Problem } from './wire';

/** How long a refusal lasts when it does not say so itself. */
const RETRY_SECONDS = 3;

/** The mall said no, or (`status` 0) could not be reached. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
    /** Set where the same call may be sent again: seconds to wait before. */
    readonly retrySeconds: number | undefined,
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
}

export interface Answer<T> {
  body: T;
  /** `Yeoul-Position`: what a read must include to be no older than this write. */
  position: string | null;
  /** `Yeoul-Stale-Since`: the answer is from then. */
  staleSince: string | null;
}

let signedOut: (method: string) => void = () => {};
let renewing: Promise<boolean> | undefined;

export function onSignedOut(handler: (method: string) => void): void {
  signedOut = handler;
}

export async function call<T>(method: string, path: string, how: Call = {}): Promise<Answer<T>> {
  let response = await send(method, path, how);
  if (response.status === 401 && !how.bare) {
    if (await renewSession()) response = await send(method, path, how);
    if (response.status === 401) signedOut(method);
  }
  if (!response.ok) throw await refusal(response);
  const text = await response.text();
  return {
    body: (text ? JSON.parse(text) : undefined) as T,
    position: response.headers.get('Yeoul-Position'),
    staleSince: response.headers.get('Yeoul-Stale-Since'),
  };
}

/** Renews the session from its refresh cookie; calls that meet share one renewal. */
export function renewSession(): Promise<boolean> {
  renewing ??= send('PUT', '/oauth/session', {})
    .then((response) => response.ok)
    .finally(() => (renewing = undefined));
  return renewing;
}

async function send(method: string, path: string, how: Call): Promise<Response> {
  const headers = new Headers({ Accept: 'application/json', ...how.headers });
  let body: string | URLSearchParams | null = null;
  if (how.json !== undefined) {
    headers.set('Content-Type', 'application/json');
    body = JSON.stringify(how.json);
  } else if (how.form) {
    body = new URLSearchParams(how.form);
  }
  try {
    return await fetch(path, { method, headers, body });
  } catch {
    throw new Refused(0, {}, RETRY_SECONDS);
  }
}

async function refusal(response: Response): Promise<Refused> {
  const problem = await response.json().catch(() => ({}));
  return new Refused(response.status, problem as Problem, retrySeconds(response));
}

function retrySeconds(response: Response): number | undefined {
  if (![429, 502, 503, 504].includes(response.status)) return undefined;
  const seconds = Number(response.headers.get('Retry-After'));
  return Number.isFinite(seconds) && seconds >= 1 ? Math.ceil(seconds) : RETRY_SECONDS;
}
