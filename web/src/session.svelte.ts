/**
 * Who is signed in: one fact over all tabs.
 *
 * The cookies that prove it are the browser's alone. What is kept is a mark that says that there
 * are some, new with every sign-in: a tab whose mark is not the kept one shows somebody who has
 * left, so it forgets them before it does anything else, and sends nothing of theirs.
 *
 * A sign-out counts at once here and is carried out as soon as the mall can be reached: until then
 * it is kept, said, and comes before whoever signs in next.
 */
import { alone, onAnswer, onSignedOut, onWrite, Refused, renewSession } from './api/http';
import { mall } from './api/mall';
import type { User } from './api/wire';
import { local, onKept } from './kept';
import { newKey } from './keys';
import { go } from './router.svelte';
import { ownPath, signPath } from './routes';

/** What local storage keeps while somebody is signed in, a key and their name (also read by `public/theme.js`); empty where a session ended by itself. */
const KEPT_AS = 'signedIn';
/** Where the name begins. */
const NAME_AT = 33;
/** And while a sign-out waits to be carried out; also read by `public/theme.js`. */
const LEAVING_AS = 'signingOut';
const ADMINISTRATOR = 'ORDER_ADMIN';
/** How soon what the mall could not be asked or told is tried again. */
const RETRY_MS = 4_000;
/** How long somebody who comes back to the page is still who they were. */
const KNOWN_MS = 10_000;

/** What a call is refused with that belongs to another person than the one signed in now. */
export const ANOTHER_PERSON = -2;

let mark = $state(local.get(KEPT_AS));
let user = $state<User>();
let failure = $state<unknown>();
let unfinished = $state(local.get(LEAVING_AS) !== null);
let replaced = $state(false);
let knownAt = 0;
let retry: ReturnType<typeof setTimeout> | undefined;
const leaving: (() => void)[] = [];

export const isSignedIn = (): boolean => Boolean(mark);
/** Names this sign-in and no other; empty where it ended by itself, null for who left. */
export const signInMark = (): string | null => mark;
/** Whether whoever is signed in is called `name`; that is known before they are. */
export const isTheirs = (name: string): boolean => mark?.slice(NAME_AT) === name;
/** The signed-in user, once known. */
export const currentUser = (): User | undefined => user;
export const isAdministrator = (): boolean => user?.role === ADMINISTRATOR;
/** Why it is not known who is signed in, where somebody is. */
export const sessionFailure = (): unknown => failure;
/** Whether a sign-out still waits to be carried out. */
export const isSignOutUnfinished = (): boolean => unfinished;
/** Whether another tab has put somebody else in the place of who was signed in here. */
export const wasReplaced = (): boolean => replaced;
export const noteReplaced = (): void => void (replaced = false);

/** `forget` runs when somebody signs out, here or in another tab: drop what was theirs. */
export function onLeave(forget: () => void): void {
  leaving.push(forget);
}

/** Finds out who is signed in; `shown` is whose private page the server has just shown. */
export async function startSession(shown?: string): Promise<void> {
  onSignedOut((method) => {
    // Whoever has left did so before the answer came; their session did not end by itself.
    if (mark === null) return;
    drop('');
    // Private screens ask by themselves; only what was about to be done needs to be asked here.
    if (method !== 'GET') askToSignIn();
  });
  onWrite((as) => {
    if (meet() || (as !== undefined && as !== mark)) throw new Refused(ANOTHER_PERSON, {}, undefined);
    return mark;
  });
  onAnswer(stays);
  onKept(meet);
  addEventListener('online', finish);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible' || meet()) return;
    if (mark && Date.now() - knownAt > KNOWN_MS) void know();
  });
  if (unfinished) finish();
  else if (shown && !mark) keep(shown);
  if (mark) await know();
}

export async function signIn(username: string, password: string): Promise<void> {
  await alone(async () => {
    await carryOut();
    await mall.signIn(username, password);
    keep(username.trim().toLowerCase());
  });
  await know();
}

export async function signOut(): Promise<void> {
  // What is private goes first, whether the mall can be reached or not.
  unfinished = true;
  local.set(LEAVING_AS, '1');
  leave();
  await attemptToFinish();
}

/** Renews the session, or forgets it here too. */
export async function stillSignedIn(): Promise<boolean> {
  const asked = mark;
  if (!asked) return false;
  const renewed = await renewSession();
  if (!renewed && mark === asked) drop('');
  return renewed;
}

/** Says later whether whoever is here now still is: the same person may have signed in again. */
function stays(): () => Promise<boolean> {
  const [as, who] = [mark, user?.username];
  return async () => {
    meet();
    if (mark && mark !== as && !user) await know();
    return who && user ? user.username === who : mark === as;
  };
}

/** A path that was asked for by somebody who has to sign in first. */
export function askToSignIn(): void {
  go(signPath('signin', ownPath(location.pathname + location.search)), { replace: true });
}

/** Asks who is signed in, and again until it is known. */
export async function know(): Promise<void> {
  const asked = mark;
  try {
    const found = await mall.me();
    if (mark !== asked) return;
    // Whoever signed in past this app is not who it has shown.
    if (!isTheirs(found.username)) keep(found.username, true);
    user = found;
    failure = undefined;
    knownAt = Date.now();
  } catch (refusal) {
    // Signed out: `onSignedOut` has said so. Not reachable: asked again.
    if (!mark || mark !== asked) return;
    failure = refusal;
    if (!user) setTimeout(() => mark === asked && !user && void know(), RETRY_MS);
  }
}

/** Follows what other tabs have done; whether somebody else is signed in now than was here. */
export function meet(): boolean {
  unfinished = local.get(LEAVING_AS) !== null;
  const now = local.get(KEPT_AS);
  if (now === mark) return false;
  const before = isSignedIn();
  const was = user?.username;
  if (now === null) {
    leave();
  } else {
    drop(now);
    // The same person may have signed in again: then nothing is said.
    if (now) void know().then(() => (replaced = was !== undefined && user !== undefined && user.username !== was));
  }
  return before;
}

function keep(name: string, told?: boolean): void {
  drop(`${newKey()} ${name}`, told);
}

function leave(): void {
  drop(null);
  go('/', { replace: true });
}

/** Forgets who was here; `next` is the mark of whoever is instead. */
function drop(next: string | null, told = false): void {
  mark = next;
  user = undefined;
  failure = undefined;
  replaced = told;
  if (local.get(KEPT_AS) !== next) local.set(KEPT_AS, next);
  for (const each of leaving) each();
}

function finish(): void {
  void attemptToFinish();
}

/** Carries the kept sign-out out, or tries again until it is done. */
async function attemptToFinish(): Promise<void> {
  if (!unfinished) return;
  try {
    await alone(carryOut);
    // The browser may still hold the page it was first shown; let it hold the public one.
    await fetch('/mypage', { cache: 'reload', headers: { Accept: 'text/html' } });
  } catch {
    clearTimeout(retry);
    retry = setTimeout(finish, RETRY_MS);
  }
}

/** Unless another tab has done so meanwhile: what would be signed out then is somebody new. */
async function carryOut(): Promise<void> {
  unfinished = local.get(LEAVING_AS) !== null;
  if (!unfinished) return;
  await mall.signOut().catch((refusal: unknown) => {
    // Nobody is signed in any more.
    if (!(refusal instanceof Refused && refusal.status === 401)) throw refusal;
  });
  local.set(LEAVING_AS, null);
  unfinished = false;
}
