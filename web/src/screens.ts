/**
 * The screens that are loaded when they are needed: at the first sign of interest in a link to
 * them, so that they are there by the time it is followed.
 */
import type { Component } from 'svelte';
import { part } from './fresh';
import type ProductForm from './parts/ProductForm.svelte';
import type Unreachable from './parts/Unreachable.svelte';
import { matchRoute, type Route } from './routes';

export type LazyRoute = Exclude<Route, { screen: 'products' }>;
/** A screen gets the route that led to it. */
export type Screen = Component<{ route: never }>;

const unreachable = (): Promise<{ default: typeof Unreachable }> => import('./parts/Unreachable.svelte');

const LOADERS: Record<LazyRoute['screen'], () => Promise<{ default: Screen }>> = {
  'my-page': () => import('./screens/MyPage.svelte'),
  'not-found': () => import('./screens/NotFound.svelte'),
  refused: () => import('./screens/NotFound.svelte'),
  order: () => import('./screens/Order.svelte'),
  product: () => import('./screens/Product.svelte'),
  'sign-in': () => import('./screens/SignIn.svelte'),
  'sign-up': () => import('./screens/SignUp.svelte'),
};

/** When what nobody has needed so far is loaded, if nobody moved before. */
const AHEAD_MS = 1_500;

const loaded: Partial<Record<LazyRoute['screen'], Screen>> = {};

/** The screen, if it has been loaded. */
export const screenOf = (name: LazyRoute['screen']): Screen | undefined => loaded[name];

export async function load(name: LazyRoute['screen']): Promise<Screen> {
  return (loaded[name] ??= (await part(LOADERS[name])).default);
}

export const loadForm = (): Promise<{ default: typeof ProductForm }> =>
  part(() => import('./parts/ProductForm.svelte'));

/** What is said where something cannot be reached. */
export const loadUnreachable = (): ReturnType<typeof unreachable> => part(unreachable);

/** Loads ahead what a pointer or the focus rests on, and what could not be loaded once needed. */
export function loadAhead(): void {
  for (const sign of ['pointerover', 'pointerdown', 'focusin']) {
    document.addEventListener(sign, look, { passive: true });
  }
  const ahead = (): void => void unreachable().catch(() => undefined);
  for (const sign of ['pointermove', 'keydown', 'scroll']) {
    addEventListener(sign, ahead, { passive: true, once: true });
  }
  setTimeout(ahead, AHEAD_MS);
}

function look(event: Event): void {
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || link.origin !== location.origin) return;
  const { screen } = matchRoute(link.pathname, link.search);
  // A failure is told when the link is followed.
  if (screen !== 'products') LOADERS[screen]().catch(() => undefined);
}
