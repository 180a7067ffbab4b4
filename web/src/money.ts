import type { Locale } from './texts/choose';

const FORMATS: Record<Locale, Intl.NumberFormat> = { ko: won('ko'), en: won('en') };

/** The part of a payment that comes back as mileage: one in this many, rounded down. */
const MILEAGE_DIVISOR = 10;

/** Won as text, the same as the templates' `money` filter writes it. */
export const money = (amount: number, locale: Locale): string => FORMATS[locale].format(amount);

/** A number of pieces as text. */
export const figure = (pieces: number, locale: Locale): string => pieces.toLocaleString(locale);

export const mileageOf = (payment: number): number => Math.floor(payment / MILEAGE_DIVISOR);

function won(locale: Locale): Intl.NumberFormat {
  return new Intl.NumberFormat(locale, { style: 'currency', currency: 'KRW' });
}
