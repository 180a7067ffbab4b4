import type { Locale } from './texts/choose';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Relative within a day, absolute in the reader's own time zone after; a time to come is now. */
export function when(rfc3339: string, now: number, locale: Locale): string {
  const time = Date.parse(rfc3339);
  if (Number.isNaN(time)) return '';
  const age = Math.max(0, now - time);
  if (age >= DAY) return absolute(time, locale);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  if (age < MINUTE) return relative.format(0, 'second');
  if (age < HOUR) return relative.format(-Math.floor(age / MINUTE), 'minute');
  return relative.format(-Math.floor(age / HOUR), 'hour');
}

/** Hours and minutes of a moment, for "as of". */
export function clockTime(rfc3339: string, locale: Locale): string {
  const time = Date.parse(rfc3339);
  if (Number.isNaN(time)) return rfc3339;
  return new Intl.DateTimeFormat(locale, { timeStyle: 'short' }).format(time);
}

/** A moment for "as of": hours and minutes within a day, with its date after. */
export function asOf(rfc3339: string, now: number, locale: Locale): string {
  const time = Date.parse(rfc3339);
  return now - time < DAY ? clockTime(rfc3339, locale) : absolute(time, locale);
}

/** A moment to the second, with its date once that is not today's any more. */
export function exactly(rfc3339: string, now: number, locale: Locale): string {
  const time = Date.parse(rfc3339);
  const day = new Date(time).toDateString() === new Date(now).toDateString() ? {} : ({ dateStyle: 'medium' } as const);
  return new Intl.DateTimeFormat(locale, { ...day, timeStyle: 'medium' }).format(time);
}

/** How long to wait, rounded up: seconds under two minutes, minutes under two hours, hours. */
export function patience(seconds: number, locale: Locale): string {
  const [amount, unit] =
    seconds < 120 ? [seconds, 'second'] : seconds < 7200 ? [seconds / 60, 'minute'] : [seconds / 3600, 'hour'];
  const format = { style: 'unit', unit, unitDisplay: 'long' } as const;
  return new Intl.NumberFormat(locale, format).format(Math.ceil(amount));
}

function absolute(time: number, locale: Locale): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(time);
}
