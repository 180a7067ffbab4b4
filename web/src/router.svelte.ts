/**
 * The app's own router: paths to screens, links taken over, scroll kept per history entry.
 *
 * It knows nothing of what the screens show.
 */
import { firstRoute, matchRoute, type Route } from './routes';

let route = $state<Route>(read());
let visits = $state(0);

export const currentRoute = (): Route => route;

/** Counts navigations, 0 at the first page: what follows a navigation follows this. */
export const navigations = (): number => visits;

/** What the present history entry keeps: where it was scrolled to, and what its screen noted. */
interface Entry {
  scroll?: number;
  note?: unknown;
}

/** What the screen of this entry noted, also after a reload and on coming back. */
export const noted = (): unknown => (history.state as Entry | null)?.note;

export const note = (it: unknown): void => keepInEntry({ note: it });

/** How this page was come by: a link or an address, a reload, or going back or forward. */
export function arrival(): string | undefined {
  const [entry] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return entry?.type;
}

/** `status` is what the first page was answered with. */
export function startRouter(status: number, signedIn: boolean): void {
  // An address that is asked for again is asked for from the start.
  if (arrival() === 'navigate') note(undefined);
  route = firstRoute(status, signedIn, location.pathname, location.search);
  history.scrollRestoration = 'manual';
  addEventListener('popstate', (event) => {
    follow((event.state as Entry | null)?.scroll ?? 0);
  });
  // Kept as one scrolls: at a popstate the entry that is left can no longer be written.
  addEventListener('pagehide', keepScroll);
  addEventListener('scrollend', keepScroll);
  document.addEventListener('click', takeLink);
  const kept = (history.state as Entry | null)?.scroll;
  if (kept) requestAnimationFrame(() => scrollTo(0, kept));
}

/** Shows `path` (with its query); `replace` leaves no way back to the present page. */
export function go(path: string, how: { replace?: boolean } = {}): void {
  if (how.replace) {
    history.replaceState(null, '', path);
  } else {
    keepScroll();
    history.pushState(null, '', path);
  }
  follow(0);
}

/** Changes the present entry's query without a navigation. */
export function rewrite(path: string): void {
  history.replaceState(history.state, '', path);
  route = read();
}

function read(): Route {
  return matchRoute(location.pathname, location.search);
}

function keepScroll(): void {
  keepInEntry({ scroll: scrollY });
}

function keepInEntry(more: Entry): void {
  history.replaceState({ ...(history.state as Entry | null), ...more }, '');
}

function follow(scroll: number): void {
  route = read();
  visits += 1;
  // The screen is drawn by then, mostly from what is already known.
  requestAnimationFrame(() => scrollTo(0, scroll));
}

function takeLink(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest('a');
  if (!link || link.target || link.hasAttribute('download')) return;
  if (link.origin !== location.origin || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
