import { describe, expect, it, test } from 'vitest';
import type { MyPage, OrderRow } from '../src/api/wire';
import { deliveryBadge, newer, secondsToStart, tells, withPage, withRow } from '../src/orders';
import { isUnderWay } from '../src/under-way';

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

const page = (orders: OrderRow[]): MyPage => ({
  customerId: 'a@b',
  nickname: '',
  address: '',
  mileage: 0,
  version: 1,
  position: 'p',
  orders,
});

test('a page read again keeps only the older rows below it', () => {
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

test('a row that knows less takes no step back', () => {
  const step = '2026-11-22T14:03:01Z';
  const known = row(1, { confirmedAt: step, startedAt: step, deliveryState: 'DeliveryStarted' });
  expect(newer(known, row(1))).toEqual(known);
  expect(newer(row(1), known)).toEqual(known);
});

test('the time to the start of a delivery is what the events say, and nothing where they cannot be right', () => {
  const placedAt = '2026-11-22T14:03:00.100250Z';
  const took = (startedAt: string | null) => secondsToStart(row(1, { placedAt, startedAt }));
  expect(took('2026-11-22T14:03:00.124900Z')).toBe(0.024);
  expect(took('2026-11-22T14:03:00.100250Z')).toBe(0);
  expect(took(null)).toBeUndefined();
  expect(took('2026-11-22T14:03:00.099Z')).toBeUndefined();
});
