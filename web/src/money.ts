import type { Locale } from './texts/choose';

const WON = new Intl.NumberFormat('en', { style: 'currency', currency: 'KRW' });

/** The part of a payment that comes back as mileage: one in this many, rounded down. */
const MILEAGE_DIVISOR = 10;

/** Won as each language writes it; `mall/templates/mypage.html` writes the same. */
export const money = (amount: number, locale: Locale): string =>
  locale === 'ko' ? `${figure(amount, locale)}원` : WON.format(amount);

/** A number of pieces as text. */
export const figure = (pieces: number, locale: Locale): string => pieces.toLocaleString(locale);

export const mileageOf = (payment: number): number => Math.floor(payment / MILEAGE_DIVISOR);
