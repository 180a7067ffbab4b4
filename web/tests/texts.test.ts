import { describe, expect, it, test } from 'vitest';
import { patience, when } from '../src/dates';
import { figure, mileageOf, money } from '../src/money';
import { chooseLocale } from '../src/texts/choose';

test.each([
  ['lang=en', ['ko'], 'en'],
  ['a=1; lang=ko; b=2', ['en'], 'ko'],
  ['lang=fr', ['en-US'], 'en'],
  ['xlang=en', ['ko-KR'], 'ko'],
  ['', ['fr', 'en-GB', 'ko'], 'en'],
  ['', ['fr'], 'ko'],
  ['', [], 'ko'],
] as const)('cookies %j and languages %j choose %s', (cookies, languages, locale) => {
  expect(chooseLocale(cookies, languages)).toBe(locale);
});

test('won is written as each language writes it, as the template does', () => {
  const amounts = [0, 999, 10_000, 39_960_000];
  const written = (locale: 'ko' | 'en') => amounts.map((it) => money(it, locale));
  expect(written('ko')).toEqual(['0원', '999원', '10,000원', '39,960,000원']);
  expect(written('en')).toEqual(['₩0', '₩999', '₩10,000', '₩39,960,000']);
});

test('a number of pieces is separated as its reader separates it', () => {
  expect([figure(999, 'ko'), figure(1_000, 'ko'), figure(1_234_567, 'en')]).toEqual(['999', '1,000', '1,234,567']);
});

test('mileage is a tenth, rounded down', () => {
  expect([0, 9, 10, 19, 40_000].map(mileageOf)).toEqual([0, 0, 1, 1, 4_000]);
});

describe('a time is relative within a day and absolute after', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');
  test.each([
    ['2026-11-23T12:00:30Z', 'now'],
    ['2026-11-23T11:59:01Z', 'now'],
    ['2026-11-23T11:59:00Z', '1 minute ago'],
    ['2026-11-23T11:00:00Z', '1 hour ago'],
    ['2026-11-22T12:00:01Z', '23 hours ago'],
  ])('%s is %s', (time, text) => {
    expect(when(time, now, 'en')).toBe(text);
  });
  it('says the date a day later', () => {
    expect(when('2026-11-22T12:00:00Z', now, 'en')).toMatch(/2026/);
  });
  it('says nothing of what is no time', () => {
    expect(when('soon', now, 'en')).toBe('');
  });
});

test('how long to wait is said in whole words of the fitting size', () => {
  expect([1, 119, 120, 271, 7_199, 7_200].map((it) => patience(it, 'ko'))).toEqual(['1초', '119초', '2분', '5분', '120분', '2시간']);
  expect(patience(271, 'en')).toBe('5 minutes');
});
