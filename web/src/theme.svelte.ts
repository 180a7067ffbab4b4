/**
 * Light or dark: the system's choice until the reader makes one, which is then kept.
 *
 * `public/theme.js` sets the kept choice before the first paint; this module only switches, in every tab.
 */
import { local, onKept } from './kept';

export type Theme = 'light' | 'dark';

/** Also read by `public/theme.js`. */
const KEPT_AS = 'theme';

const system = matchMedia('(prefers-color-scheme: dark)');
const root = document.documentElement;

let chosen = $state(root.dataset.theme as Theme | undefined);
let systemDark = $state(system.matches);
system.addEventListener('change', (event) => (systemDark = event.matches));

export const theme = (): Theme => chosen ?? (systemDark ? 'dark' : 'light');

export function switchTheme(): void {
  choose(theme() === 'dark' ? 'light' : 'dark');
}

function choose(next: Theme): void {
  root.dataset.theme = chosen = next;
  local.set(KEPT_AS, next);
}

onKept(() => {
  const kept = local.get(KEPT_AS);
  if (kept === 'dark' || kept === 'light') root.dataset.theme = chosen = kept;
});
