export type Locale = 'ko' | 'en';

/** The locales there are; the first is what everyone else reads. */
export const LOCALES: readonly Locale[] = ['ko', 'en'];

/**
 * The reader's locale: the cookie `lang` if it names one, else the first of the browser's
 * languages that we speak, else Korean.
 */
export function chooseLocale(cookies: string, languages: readonly string[]): Locale {
  const cookie = /(?:^|;\s*)lang=([^;]*)/.exec(cookies)?.[1];
  const named = [cookie, ...languages].map((it) => it?.slice(0, 2).toLowerCase());
  return LOCALES.find((it) => it === named.find((name) => LOCALES.some((l) => l === name))) ?? 'ko';
}
