import { describe, expect, it, test, vi } from 'vitest';
import { Refused } from '../src/api/http';
import type { MyPage, OrderRow } from '../src/api/wire';
import { Attempt } from '../src/attempt.svelte';
import { isUsername } from '../src/credentials';
import { when } from '../src/dates';
import { mileageOf, money } from '../src/money';
import { optionsOf } from '../src/options';
import { deliveryBadge, isUnderWay, withPage, withRow } from '../src/orders';
import { matchRoute, ownPath, pieces } from '../src/routes';
import { chooseLocale } from '../src/texts/choose';

const row = (orderId: number, more: Partial<OrderRow> = {}): OrderRow => ({
  orderId,
  productId: 1,
  productName: 'TV',
  imageUrl: null,
  quantity: 1,
  payment: 10_000,
  orderState: 'OrderPlaced',
  deliveryState: null,
  placedAt: '2026-11-22T14:03:00Z',
  ...more,
});

describe('a path shows its screen', () => {
  test.each([
    ['/', '', { screen: 'products', name: '' }],
    ['/', '?name=tv', { screen: 'products', name: 'tv' }],
    ['/products/3', '?quantity=4', { screen: 'product', id: 3, quantity: 4 }],
    ['/products/0', '', { screen: 'not-found' }],
    ['/products/03', '', { screen: 'not-found' }],
    ['/products/3/', '', { screen: 'not-found' }],
    ['/mypage', '', { screen: 'my-page' }],
    ['/mypages/1%40uengine.org', '', { screen: 'my-page' }],
    ['/mypages/a/b', '', { screen: 'not-found' }],
    ['/signin', '?from=%2Fmypage', { screen: 'sign-in', from: '/mypage' }],
  ])('%s%s', (path, search, route) => {
    expect(matchRoute(path, search)).toEqual(route);
  });
});

describe('where one came from is never elsewhere', () => {
  test.each([
    ['/mypage', '/mypage'],
    ['/products/3?quantity=2', '/products/3?quantity=2'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
    ['/signin?from=/signin', '/'],
    [null, '/'],
  ])('%s', (from, path) => {
    expect(ownPath(from)).toBe(path);
  });
});

test.each([
  ['1', 1],
  ['1000', 1000],
  ['1001', 1000],
  ['0', 1],
  ['-1', 1],
  ['2.5', 1],
  ['x', 1],
  ['', 1],
  [null, 1],
])('a quantity written %s is %i', (text, number) => {
  expect(pieces(text)).toBe(number);
});

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

test('won is written the same in both languages, as the templates write it', () => {
  for (const locale of ['ko', 'en'] as const) {
    expect([0, 999, 10_000, 39_960_000].map((it) => money(it, locale))).toEqual(['₩0', '₩999', '₩10,000', '₩39,960,000']);
  }
});

test('options of one kind stand together', () => {
  const option = (id: number, name: string, desc: string) => ({ id, name, optionName: String(id), desc });
  expect(optionsOf([option(1, 'size', '55 in'), option(2, 'colour', ''), option(3, 'size', '65 in')])).toEqual([
    { about: 'size', choices: ['55 in', '65 in'] },
    { about: 'colour', choices: ['2'] },
  ]);
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

test.each([
  ['1@uengine.org', true],
  [' New@Example.com ', true],
  ['no-at-sign', false],
  ['a@b.html', false],
  [`${'a'.repeat(64)}@b`, true],
  [`${'a'.repeat(65)}@b`, false],
])('%s as a username: %s', (name, taken) => {
  expect(isUsername(name)).toBe(taken);
});

test('an order is under way until it is delivered or stopped', () => {
  const states = [
    row(1, { orderState: 'PENDING' }),
    row(2),
    row(3, { deliveryState: 'DeliveryStarted' }),
    row(4, { deliveryState: 'DeliveryCompleted' }),
    row(5, { orderState: 'OrderCancelled', deliveryState: 'DeliveryStarted' }),
    row(6, { orderState: 'OrderRejected' }),
    row(7, { deliveryState: 'DeliveryReturned' }),
  ];
  expect(states.filter(isUnderWay).map((it) => it.orderId)).toEqual([1, 2, 3]);
  expect(states.map((it) => deliveryBadge(it)?.state)).toEqual([
    undefined,
    'preparing',
    'DeliveryStarted',
    'DeliveryCompleted',
    'DeliveryStarted',
    undefined,
    'DeliveryReturned',
  ]);
});

test('a changed row keeps its place and a new one comes first', () => {
  const rows = withRow([row(2), row(1)], row(1, { orderState: 'OrderCancelled' }));
  expect(rows.map((it) => [it.orderId, it.orderState])).toEqual([
    [2, 'OrderPlaced'],
    [1, 'OrderCancelled'],
  ]);
  expect(withRow(rows, row(3)).map((it) => it.orderId)).toEqual([3, 2, 1]);
});

test('a page read again keeps only the older rows below it', () => {
  const page = (orders: OrderRow[]): MyPage => ({
    customerId: 'a@b',
    nickname: '',
    address: '',
    mileage: 0,
    version: 1,
    position: 'p',
    orders,
  });
  const merged = withPage(page([row(4), row(2), row(1)]), page([row(5), row(3)]));
  expect(merged.orders.map((it) => it.orderId)).toEqual([5, 3, 2, 1]);
});

describe('an attempt', () => {
  const refused = (status: number, seconds?: number): Refused => new Refused(status, {}, seconds);

  it('waits as long as it is told and comes again under the same key', async () => {
    vi.useFakeTimers();
    const attempt = new Attempt();
    const keys: string[] = [];
    const done = attempt.run('wish', async (key) => {
      keys.push(key);
      if (keys.length === 1) throw refused(503, 2);
      return 'taken';
    });
    await vi.advanceTimersByTimeAsync(1_999);
    expect([attempt.phase, attempt.seconds, keys.length]).toEqual(['waiting', 1, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await done).toBe('taken');
    expect(keys[1]).toBe(keys[0]);
    expect(attempt.phase).toBe('idle');
    vi.useRealTimers();
  });

  it('is not repeated after a refusal that will not change', async () => {
    const attempt = new Attempt();
    const send = vi.fn(() => Promise.reject(refused(409)));
    expect(await attempt.run('wish', send)).toBeUndefined();
    expect([attempt.phase, attempt.refusal?.status, send.mock.calls.length]).toEqual(['refused', 409, 1]);
  });

  it('keeps the key of an unanswered wish, and of no other', async () => {
    const attempt = new Attempt();
    const keys: string[] = [];
    const unanswered = async (key: string): Promise<never> => {
      keys.push(key);
      queueMicrotask(() => queueMicrotask(() => attempt.stop()));
      throw refused(0, 3);
    };
    await attempt.run({ quantity: 1 }, unanswered);
    await attempt.run({ quantity: 1 }, unanswered);
    await attempt.run({ quantity: 2 }, unanswered);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
  });

  it('gives up after five tries', async () => {
    vi.useFakeTimers();
    const attempt = new Attempt();
    const send = vi.fn(() => Promise.reject(refused(429, 1)));
    const done = attempt.run('wish', send);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await done).toBeUndefined();
    expect([send.mock.calls.length, attempt.phase]).toEqual([5, 'refused']);
    vi.useRealTimers();
  });
});
