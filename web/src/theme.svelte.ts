/**
 * Light or dark: the system's choice until the reader makes one, which is then kept.
 *
 * `public/theme.js` sets the kept choice before the first paint; this module only switches.
 */
export type Theme = 'light' | 'dark';

/** Also read by `public/theme.js`. */
const KEPT_AS = 'theme';

const system = matchMedia('(prefers-color-scheme: dark)');
const root = document.documentElement;

let chosen = $state<Theme | undefined>(
  root.dataset.theme === 'dark' || root.dataset.theme === 'light' ? root.dataset.theme : undefined,
);
let systemDark = $state(system.matches);
system.addEventListener('change', (event) => (systemDark = event.matches));

export const theme = (): Theme => chosen ?? (systemDark ? 'dark' : 'light');

export function switchTheme(): void {
  chosen = theme() === 'dark' ? 'light' : 'dark';
  root.dataset.theme = chosen;
  localStorage.setItem(KEPT_AS, chosen);
}
