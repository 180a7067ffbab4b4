/**
 * The screens that are loaded when they are needed: at the first sign of interest in a link to
 * them, so that they are there by the time it is followed.
 */
import { matchRoute, type Route } from './routes';

const LOADERS = {
  product: () => import('./screens/Product.svelte'),
  'sign-in': () => import('./screens/SignIn.svelte'),
  'sign-up': () => import('./screens/SignUp.svelte'),
};

export type LazyScreen = keyof typeof LOADERS;

export const isLazy = (screen: Route['screen']): screen is LazyScreen => screen in LOADERS;

export function load<S extends LazyScreen>(screen: S): ReturnType<(typeof LOADERS)[S]> {
  return LOADERS[screen]() as ReturnType<(typeof LOADERS)[S]>;
}

/** Loads ahead what a pointer or the focus rests on. */
export function loadAhead(): void {
  for (const sign of ['pointerover', 'pointerdown', 'focusin']) {
    document.addEventListener(sign, look, { passive: true });
  }
}

function look(event: Event): void {
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || link.origin !== location.origin) return;
  const { screen } = matchRoute(link.pathname, link.search);
  // A failure is told when the link is followed.
  if (isLazy(screen)) load(screen).catch(() => undefined);
}
