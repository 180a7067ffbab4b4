/**
 * Which language the shop speaks, kept in the cookie `lang` so that prerendered pages follow.
 *
 * A prerendered page was rendered in a locale chosen by the server; the app believes the page, so
 * that taking over changes no word. Other tabs hear of a switch through local storage, and take the
 * language from there: a browser writes a cookie in its own time, so that they may still read the
 * one of before (Chromium on a busy machine: of 600 switches 78 to 156).
 */
import { part } from './fresh';
import { local, onKept } from './kept';
import { chooseLocale, type Locale } from './texts/choose';
import { ko, type Texts } from './texts/ko';

const YEAR_SECONDS = 31_536_000;
/** Also what local storage keeps it as. */
const KEPT_AS = 'lang';
/** Korean is always there; who reads another language loads its table, and only that. */
const TABLES: Record<Locale, (load: typeof part) => Texts | Promise<Texts>> = {
  ko: () => ko,
  en: async (load) => (await load(() => import('./texts/en'))).en,
};

let locale = $state<Locale>('ko');
let texts = $state.raw<Texts>(ko);
let lastChosen: Locale = 'ko';

/** The words of the chosen language; reading one inside a component follows the switch. */
export const t = following(ko, () => texts);

export const currentLocale = (): Locale => locale;

/** The words of a screen of its own, in every language, followed in the same way. */
export function speak<T extends object>(tables: Record<Locale, T>): T {
  return following(tables.ko, () => tables[locale]);
}

export async function startLocale(prerendered: boolean): Promise<void> {
  await show(
    prerendered
      ? chooseLocale(inCookie(document.documentElement.lang), [])
      : chooseLocale(document.cookie, navigator.languages),
  );
  // Whoever has chosen nothing goes on reading what they read, and nothing is loaded anew that one may be typing into.
  onKept((told) => {
    if (!told || told.key === KEPT_AS) void show(chooseLocale(told ? inCookie(told.newValue) : document.cookie, [locale]), (it) => it());
  });
}

export async function switchLocale(): Promise<void> {
  const chosen = locale === 'ko' ? 'en' : 'ko';
  document.cookie = `${inCookie(chosen)}; Path=/; SameSite=Lax; Max-Age=${YEAR_SECONDS}`;
  local.set(KEPT_AS, chosen);
  await show(chosen);
}

const inCookie = (locale: string | null): string => `lang=${locale}`;

async function show(chosen: Locale, load = part): Promise<void> {
  lastChosen = chosen;
  const table = TABLES[chosen](load);
  // Nothing is waited for where nothing has to be: a promise would cost a frame.
  const loaded = table instanceof Promise ? await table.catch(() => undefined) : table;
  // What cannot be loaded now is spoken after the next load; what was loading when another was chosen, never.
  if (!loaded || chosen !== lastChosen) return;
  texts = loaded;
  locale = chosen;
  document.documentElement.lang = chosen;
}

function following<T extends object>(shape: T, table: () => T): T {
  return new Proxy(shape, { get: (_, word) => Reflect.get(table(), word) as unknown });
}
