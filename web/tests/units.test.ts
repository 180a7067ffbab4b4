import { describe, expect, it, test, vi } from 'vitest';
import { changeSeen } from '../src/api/changes';
import { LEFT, Refused, troubleOf, type Answer } from '../src/api/http';
import type { MyPage, OrderRow } from '../src/api/wire';
import { Attempt, type Keys } from '../src/attempt.svelte';
import { isPicture, isUsername } from '../src/credentials';
import { patience, when } from '../src/dates';
import { changedByOthers, edited, typedOver, type Written } from '../src/edits';
import { Heartbeat, SILENCE_MS_MAX } from '../src/heartbeat';
import { charsOf, hasControls } from '../src/limits';
import { figure, mileageOf, money } from '../src/money';
import { wholeOf } from '../src/numbers';
import { optionsOf } from '../src/options';
import { deliveryBadge, newer, secondsToStart, tells, withPage, withRow } from '../src/orders';
import { isUnderWay } from '../src/under-way';
import { hasFailed, noteFailed } from '../src/pictures';
import { priceNow } from '../src/prices';
import { firstRoute, matchRoute, ownPath, pieces } from '../src/routes';
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
  customerName: '유엔진',
  customerAddr: '서울시',
  placedAt: '2026-11-22T14:03:00Z',
  confirmedAt: null,
  startedAt: null,
  completedAt: null,
  cancelledAt: null,
  stoppedAt: null,
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
  ['1e3', 1],
  ['0x10', 1],
  ['１２', 1],
  ['x', 1],
  ['', 1],
  [null, 1],
])('a quantity written %s is %i', (text, number) => {
  expect(pieces(text)).toBe(number);
});

test.each([
  ['1', 1],
  ['1000', 1000],
  [' 12 ', 12],
  ['007', 7],
  ['0', undefined],
  ['1001', undefined],
  ['1.5', undefined],
  ['1,5', undefined],
  ['-3', undefined],
  ['+3', undefined],
  ['1e3', undefined],
  ['0x10', undefined],
  ['１２', undefined],
  ['٣', undefined],
  ['1 2', undefined],
  ['12개', undefined],
  ['', undefined],
  [' ', undefined],
  ['9'.repeat(400), undefined],
])('%j written for 1 to 1000 is %s', (text, number) => {
  expect(wholeOf(text, 1, 1000)).toBe(number);
});

test.each([
  ['', 0],
  [' 가나 ', 2],
  ['가', 1],
  ['👍🏽', 2],
])('%j counts as %i characters', (text, chars) => {
  expect(charsOf(text.normalize('NFD'))).toBe(chars);
});

describe('an edit beside those of others', () => {
  const base: Written = { name: 'TV', price: '100', stock: '9', imageUrl: '', stockPolicy: 'cancel' };

  it.each([
    ['what nobody typed over moves, and is said', { price: '120' }, { name: 'TV 2' }, [['price', '120', undefined]]],
    ['what was typed over meets the other', { price: '120' }, { price: '110' }, [['price', '120', '110']]],
    ['the same typed by both meets nothing', { price: '120' }, { price: '120' }, []],
    ['stock moves by itself', { stock: '8' }, { price: '110' }, []],
    ['stock that was typed over meets what it is now', { stock: '8' }, { stock: '30' }, [['stock', '8', '30']]],
    ['a picture that was taken away is said', { imageUrl: '/b.png' }, { imageUrl: '/a.png' }, [['imageUrl', '/b.png', '/a.png']]],
    ['nothing has changed', {}, { name: 'TV 2' }, []],
  ])('%s', (_, theirs, mine, met) => {
    const found = changedByOthers(base, { ...base, ...theirs }, { ...base, ...mine });
    expect(found.map((it) => [it.member, it.theirs, it.yours])).toEqual(met);
  });

  it('keeps what was typed and what it was typed over', () => {
    const typed = { ...base, price: '110', name: 'TV 2' };
    expect([edited(typed, base), typedOver(typed, base)]).toEqual([
      { name: 'TV 2', price: '110' },
      { name: 'TV', price: '100' },
    ]);
  });
});

describe('a change of what was seen', () => {
  const answer = <T>(body: T, etag: string): Answer<T> => ({ body, etag, position: null, staleSince: null });
  const changedElsewhere = new Refused(412, {}, undefined);

  it('names the tag that was read, and the next one where the row went on by itself', async () => {
    const tags: (string | null)[] = [];
    const change = (row: number, etag: string | null): Promise<string> => {
      tags.push(etag);
      return tags.length < 3 ? Promise.reject(changedElsewhere) : Promise.resolve(`done with ${row}`);
    };
    let row = 1;
    const read = (): Promise<Answer<number>> => Promise.resolve(answer(++row, `"${row}"`));
    expect(await changeSeen(answer(1, '"1"'), read, () => true, change)).toBe('done with 3');
    expect(tags).toEqual(['"1"', '"2"', '"3"']);
  });

  it('is not sent again where the reader has to look first', async () => {
    const change = vi.fn(() => Promise.reject(changedElsewhere));
    const read = (): Promise<Answer<number>> => Promise.resolve(answer(2, '"2"'));
    expect(await changeSeen(answer(1, '"1"'), read, (now) => now === 1, change)).toBeUndefined();
    expect(change).toHaveBeenCalledOnce();
  });

  it('is given up where the row never stands still, and where it is refused for another reason', async () => {
    const read = (): Promise<Answer<number>> => Promise.resolve(answer(2, '"2"'));
    const change = vi.fn(() => Promise.reject(changedElsewhere));
    await expect(changeSeen(answer(1, '"1"'), read, () => true, change)).rejects.toBe(changedElsewhere);
    expect(change).toHaveBeenCalledTimes(5);
    const no = new Refused(409, {}, undefined);
    await expect(changeSeen(answer(1, '"1"'), read, () => true, () => Promise.reject(no))).rejects.toBe(no);
  });
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

test('won is written as each language writes it, as the template does', () => {
  const amounts = [0, 999, 10_000, 39_960_000];
  const written = (locale: 'ko' | 'en') => amounts.map((it) => money(it, locale));
  expect(written('ko')).toEqual(['0원', '999원', '10,000원', '39,960,000원']);
  expect(written('en')).toEqual(['₩0', '₩999', '₩10,000', '₩39,960,000']);
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
  const others = withPage(page([row(4), row(2), row(1)]), { ...page([row(5), row(3)]), customerId: 'c@d' });
  expect(others.orders.map((it) => it.orderId)).toEqual([5, 3]);
});

const states = (it: OrderRow): string => `${it.orderState} ${it.deliveryState}`;

test.each([
  ['PENDING', null, 'OrderPlaced', 'DeliveryStarted', 'OrderPlaced DeliveryStarted'],
  ['OrderPlaced', 'DeliveryStarted', 'PENDING', null, 'OrderPlaced DeliveryStarted'],
  ['OrderCancelled', null, 'OrderPlaced', 'DeliveryStarted', 'OrderCancelled DeliveryStarted'],
  ['OrderPlaced', 'DeliveryCompleted', 'OrderPlaced', 'DeliveryReturned', 'OrderPlaced DeliveryReturned'],
  ['OrderRejected', null, 'PENDING', null, 'OrderRejected null'],
  ['PENDING', null, 'BackOrdered', null, 'BackOrdered null'],
] as const)('of %s %s and %s %s the later is shown', (orderA, deliveryA, orderB, deliveryB, shown) => {
  const older = row(1, { orderState: orderA, deliveryState: deliveryA });
  const news = row(1, { orderState: orderB as OrderRow['orderState'], deliveryState: deliveryB });
  expect(states(newer(older, news))).toBe(shown);
});

describe('what one has just done', () => {
  const page = (orders: OrderRow[]): MyPage => ({
    customerId: 'a@b',
    nickname: '',
    address: '',
    mileage: 0,
    version: 1,
    position: 'p',
    orders,
  });
  const taken = row(9, { orderState: 'PENDING' });
  const cancelled = row(3, { orderState: 'OrderCancelled' });

  it('stands over a page that does not know of it', () => {
    const shown = withPage(page([row(3)]), page([row(3), row(2)]), [taken, cancelled]);
    expect(shown.orders.map((it) => `${it.orderId} ${it.orderState}`)).toEqual([
      '9 PENDING',
      '3 OrderCancelled',
      '2 OrderPlaced',
    ]);
  });

  it('is told by a page that says the same or something later, and by no other', () => {
    expect(tells([row(8)], taken)).toBe(false);
    expect(tells([row(9, { orderState: 'PENDING' })], taken)).toBe(true);
    expect(tells([row(9, { deliveryState: 'DeliveryStarted' })], taken)).toBe(true);
    expect(tells([row(3)], cancelled)).toBe(false);
    expect(tells([row(3, { orderState: 'OrderCancelled' })], cancelled)).toBe(true);
  });
});

test.each([
  [0, '', true, 'down'],
  [0, '', false, 'offline'],
  [429, 'yeoul; error=http_request_denied', true, 'busy'],
  [503, '', true, 'busy'],
  [503, 'yeoul; error=connection_limit_reached', true, 'busy'],
  [503, 'yeoul; error=connection_refused', true, 'down'],
  [503, 'yeoul; error=destination_unavailable', true, 'down'],
  [504, 'yeoul; error=http_response_timeout', true, 'busy'],
  [504, 'yeoul; error=connection_timeout', true, 'down'],
  [502, 'yeoul; error=http_protocol_error', true, 'down'],
  [500, '', true, undefined],
  [409, '', true, undefined],
])('%i with %j, online %s, is %s', (status, proxy, online, trouble) => {
  expect(troubleOf(status, proxy, online)).toBe(trouble);
});

test.each([
  ['', true],
  ['/goods/img/TV.svg', true],
  ['/그림.svg?v=2#a', true],
  ['https://pictures.example/a.png', true],
  ['https://x', true],
  ['http://pictures.example/a.png', false],
  ['//pictures.example/a.png', false],
  ['/\\pictures.example/a.png', false],
  ['https:///a.png', false],
  ['https://', false],
  ['https://x/@a.png', true],
  ['https://x?@', true],
  ['https://user:pw@host/x.svg', false],
  ['https://user@host', false],
  ['https://@host/x.svg', false],
  ['https://x/a b.png', false],
  ['/a\u0000.png', false],
  ['javascript:alert(1)', false],
  ['data:image/png;base64,AAAA', false],
  ['a.png', false],
])('a picture at %j: %s', (address, taken) => {
  expect(isPicture(address)).toBe(taken);
});

test('a picture that failed is left alone for a minute', () => {
  noteFailed('/a.png', 1_000);
  expect([hasFailed('/a.png', 60_999), hasFailed('/a.png', 61_000), hasFailed('/b.png', 1_000)]).toEqual([true, false, false]);
});

test('another price is read from the refusal, and from no other refusal', () => {
  const refusal = (status: number, field: string, limit?: number): Refused =>
    new Refused(status, { errors: [{ field, reason: '', ...(limit === undefined ? {} : { limit }) }] }, undefined);
  expect(priceNow(refusal(409, 'expectedPrice', 12_000))).toBe(12_000);
  expect(priceNow(refusal(409, 'quantity', 3))).toBeUndefined();
  expect(priceNow(refusal(400, 'expectedPrice', 12_000))).toBeUndefined();
  expect(priceNow(new Refused(409, {}, undefined))).toBeUndefined();
});

describe('what a page was answered with decides what it shows', () => {
  test.each([
    [0, false, '/products/3', { screen: 'product', id: 3, quantity: 1 }],
    [404, false, '/products/99999', { screen: 'not-found' }],
    [404, true, '/products/3/', { screen: 'not-found' }],
    [403, true, '/mypages/2%40uengine.org', { screen: 'refused', status: 403 }],
    [503, true, '/mypage', { screen: 'refused', status: 503 }],
    [401, false, '/mypage', { screen: 'sign-in', from: '/mypage' }],
    [401, false, '/orders', { screen: 'sign-in', from: '/orders' }],
    // Their session may only have to be renewed.
    [401, true, '/mypage', { screen: 'my-page' }],
    [401, true, '/orders/7', { screen: 'order', id: 7 }],
    [401, false, '/orders/7', { screen: 'sign-in', from: '/orders/7' }],
    // It says itself that there is none.
    [404, true, '/orders/7', { screen: 'order', id: 7 }],
    [403, true, '/orders/7', { screen: 'refused', status: 403 }],
    [401, true, '/orders', { screen: 'sign-in', from: '/orders' }],
    [401, false, '/signin', { screen: 'sign-in', from: '/' }],
  ])('%i, signed in %s, %s', (status, signedIn, path, route) => {
    expect(firstRoute(status, signedIn, path, '')).toEqual(route);
  });
});

test('how long to wait is said in whole words of the fitting size', () => {
  expect([1, 119, 120, 271, 7_199, 7_200].map((it) => patience(it, 'ko'))).toEqual(['1초', '119초', '2분', '5분', '120분', '2시간']);
  expect(patience(271, 'en')).toBe('5 minutes');
});

describe('a heartbeat', () => {
  it('that misses two beats is dead, once', () => {
    vi.useFakeTimers();
    const dead = vi.fn();
    const heartbeat = new Heartbeat(dead);
    heartbeat.heard();
    vi.advanceTimersByTime(SILENCE_MS_MAX - 1);
    heartbeat.heard();
    vi.advanceTimersByTime(SILENCE_MS_MAX - 1);
    expect(dead).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(dead).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(10 * SILENCE_MS_MAX);
    expect(dead).toHaveBeenCalledTimes(1);
    vi.useRealTimers();
  });

  it('is expected from the opening on, and of no stream that was closed', () => {
    vi.useFakeTimers();
    const dead = vi.fn();
    const heartbeat = new Heartbeat(dead);
    heartbeat.heard();
    heartbeat.stop();
    vi.advanceTimersByTime(10 * SILENCE_MS_MAX);
    expect(dead).not.toHaveBeenCalled();
    heartbeat.heard();
    vi.advanceTimersByTime(SILENCE_MS_MAX);
    expect(dead).toHaveBeenCalledTimes(1);
    vi.useRealTimers();
  });
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

  it('says nothing of an answer to somebody who has left', async () => {
    const attempt = new Attempt();
    expect(await attempt.run('wish', () => Promise.reject(refused(LEFT)))).toBeUndefined();
    expect([attempt.phase, attempt.refusal]).toEqual(['idle', undefined]);
  });

  it('says that it takes long until there is an answer', async () => {
    vi.useFakeTimers();
    const attempt = new Attempt();
    let answer = (): void => undefined;
    const done = attempt.run('wish', () => new Promise<void>((resolve) => (answer = resolve)));
    expect(attempt.slow).toBe(false);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(attempt.slow).toBe(true);
    answer();
    await done;
    expect(attempt.slow).toBe(false);
    vi.useRealTimers();
  });

  it('goes on unseen once it was cleared, and leaves the next one alone', async () => {
    const attempt = new Attempt();
    const ends: ((refusal: Refused) => void)[] = [];
    const send = (): Promise<never> => new Promise((_, reject) => ends.push(reject));
    const first = attempt.run('first', send);
    attempt.clear();
    const second = attempt.run('second', send);
    ends[0]?.(refused(409));
    expect(await first).toBeUndefined();
    expect([attempt.phase, attempt.refusal]).toEqual(['running', undefined]);
    ends[1]?.(refused(404));
    await second;
    expect([attempt.phase, attempt.refusal?.status]).toEqual(['refused', 404]);
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

  it('keeps its key after whatever does not say that nothing was done', async () => {
    const attempt = new Attempt();
    const keys: string[] = [];
    const answers: unknown[] = [refused(500), new TypeError('the answer was cut'), refused(409), refused(400)];
    const send = async (key: string): Promise<never> => {
      keys.push(key);
      throw answers[keys.length - 1];
    };
    while (keys.length < answers.length) await attempt.run('wish', send);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).toBe(keys[0]);
    expect(keys[3]).not.toBe(keys[0]);
  });

  it('goes on under the key that was kept for it', async () => {
    const kept = new Map<string, string>();
    const keys: Keys = {
      of: (about) => kept.get(about) ?? kept.set(about, `key of ${about}`).get(about) ?? '',
      settle: (about) => void kept.delete(about),
    };
    const used: string[] = [];
    const send = (key: string): Promise<string> => {
      used.push(key);
      return used.length === 1 ? Promise.reject(refused(500)) : Promise.resolve('taken');
    };
    await new Attempt(keys).run('wish', send);
    expect([...kept.keys()]).toEqual(['"wish"']);
    await new Attempt(keys).run('wish', send);
    expect(used).toEqual(['key of "wish"', 'key of "wish"']);
    expect(kept.size).toBe(0);
  });

  it('that was given up says so, and not that it was tried often', async () => {
    const attempt = new Attempt();
    const done = attempt.run('wish', () => Promise.reject(refused(503, 3)));
    await vi.waitFor(() => expect(attempt.phase).toBe('waiting'));
    attempt.stop();
    expect(await done).toBeUndefined();
    expect([attempt.phase, attempt.stopped, attempt.late]).toEqual(['refused', true, false]);
  });

  it('that is asked for more patience than it has is told at once', async () => {
    const attempt = new Attempt();
    const send = vi.fn(() => Promise.reject(refused(429, 31)));
    await attempt.run('wish', send);
    expect([attempt.phase, attempt.late, send.mock.calls.length]).toEqual(['refused', true, 1]);
    await attempt.run('another', () => Promise.reject(refused(429, 1)), (it) => it.status !== 429);
    expect([attempt.phase, attempt.late]).toEqual(['refused', true]);
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

test.each([
  ['', false],
  ['서울시 강남구', false],
  ['  서울시\n', false],
  ['서울\u0001시', true],
  ['서울시\n강남구', true],
  ['a\u007f', true],
  ['a\u200b', false],
])('%j has a control character that would be sent: %s', (text, has) => {
  expect(hasControls(text)).toBe(has);
});

test('a number of pieces is separated as its reader separates it', () => {
  expect([figure(999, 'ko'), figure(1_000, 'ko'), figure(1_234_567, 'en')]).toEqual(['999', '1,000', '1,234,567']);
});

test('the time to the start of a delivery is what the events say, and nothing where they cannot be right', () => {
  const placedAt = '2026-11-22T14:03:00.100250Z';
  const took = (startedAt: string | null) => secondsToStart(row(1, { placedAt, startedAt }));
  expect(took('2026-11-22T14:03:00.124900Z')).toBe(0.024);
  expect(took('2026-11-22T14:03:00.100250Z')).toBe(0);
  expect(took(null)).toBeUndefined();
  expect(took('2026-11-22T14:03:00.099Z')).toBeUndefined();
});

test('a row that knows less takes no step back', () => {
  const step = '2026-11-22T14:03:01Z';
  const known = row(1, { confirmedAt: step, startedAt: step, deliveryState: 'DeliveryStarted' });
  expect(newer(known, row(1))).toEqual(known);
  expect(newer(row(1), known)).toEqual(known);
});
