/**
 * Who is signed in. The cookies that prove it are the browser's alone; only a flag that there are
 * some is kept, so that a visitor is never asked who they are.
 */
import { onSignedOut, renewSession } from './api/http';
import { mall } from './api/mall';
import type { User } from './api/wire';
import { go } from './router.svelte';
import { ownPath, signPath } from './routes';

/** What local storage keeps while somebody is signed in. */
export const KEPT_AS = 'signedIn';
const ADMINISTRATOR = 'ORDER_ADMIN';

let signedIn = $state(localStorage.getItem(KEPT_AS) !== null);
let user = $state<User>();
const leaving: (() => void)[] = [];

export const isSignedIn = (): boolean => signedIn;
/** The signed-in user, once known. */
export const currentUser = (): User | undefined => user;
export const isAdministrator = (): boolean => user?.role === ADMINISTRATOR;

/** `forget` runs when somebody signs out, here or in another tab: drop what was theirs. */
export function onLeave(forget: () => void): void {
  leaving.push(forget);
}

/** Finds out who is signed in; `island` says that the server has just shown a private page. */
export async function startSession(island: boolean): Promise<void> {
  onSignedOut((method) => {
    forget();
    // Private screens ask by themselves; only what was about to be done needs to be asked here.
    if (method !== 'GET') askToSignIn();
  });
  addEventListener('storage', (event) => {
    if (event.key === KEPT_AS && event.newValue === null) leave();
  });
  // A page frozen while somebody was signed in must not come back to life after they left.
  addEventListener('pageshow', (event) => {
    if (event.persisted && signedIn && localStorage.getItem(KEPT_AS) === null) leave();
  });
  if (island) keep();
  if (signedIn) await know();
}

export async function signIn(username: string, password: string): Promise<void> {
  await mall.signIn(username, password);
  keep();
  await know();
}

export async function signOut(): Promise<void> {
  // What is private goes first, whether the mall can be reached or not.
  leave();
  try {
    await mall.signOut();
    // The browser may still hold the page it was first shown; let it hold the public one.
    await fetch('/mypage', { cache: 'reload', headers: { Accept: 'text/html' } });
  } catch {
    // The cookies run out by themselves.
  }
}

/** Renews the session, or forgets it here too. */
export async function stillSignedIn(): Promise<boolean> {
  if (!signedIn) return false;
  const renewed = await renewSession();
  if (!renewed) forget();
  return renewed;
}

/** A path that was asked for by somebody who has to sign in first. */
export function askToSignIn(): void {
  go(signPath('signin', ownPath(location.pathname + location.search)), { replace: true });
}

function keep(): void {
  signedIn = true;
  localStorage.setItem(KEPT_AS, '1');
}

async function know(): Promise<void> {
  try {
    user = await mall.me();
  } catch {
    // Signed out: `onSignedOut` has said so. Not reachable: the next call will say so in place.
  }
}

function leave(): void {
  forget();
  go('/', { replace: true });
}

function forget(): void {
  signedIn = false;
  user = undefined;
  localStorage.removeItem(KEPT_AS);
  for (const each of leaving) each();
}
