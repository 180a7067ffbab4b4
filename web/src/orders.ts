/** What an order's states mean to its customer; pure. */
import type { DeliveryState, MyPage, Order, OrderRow, OrderState } from './api/wire';
import { isUnderWay } from './under-way';

export type Tone = 'waiting' | 'good' | 'stopped' | 'live' | 'quiet';

/** What a row that knows less never takes back. */
const STEP_TIMES = ['confirmedAt', 'startedAt', 'completedAt', 'cancelledAt', 'stoppedAt'] as const;

const ORDER_TONES: Record<OrderState, Tone> = {
  PENDING: 'waiting',
  OrderPlaced: 'good',
  OrderCancelled: 'stopped',
  OrderRejected: 'stopped',
};

/** The way of an order, and of a delivery: each state comes after those before it. */
const ORDER_STEPS: OrderState[] = ['PENDING', 'OrderPlaced', 'OrderRejected', 'OrderCancelled'];
const DELIVERY_STEPS: (DeliveryState | null)[] = [
  null,
  'DeliveryStarted',
  'DeliveryCompleted',
  'DeliveryCancelled',
  'DeliveryReturned',
];

const DELIVERY_TONES: Record<DeliveryState, Tone> = {
  DeliveryStarted: 'live',
  DeliveryCompleted: 'good',
  DeliveryCancelled: 'stopped',
  DeliveryReturned: 'stopped',
};

export const orderTone = (state: OrderState): Tone => ORDER_TONES[state] ?? 'quiet';

/** What stands for the delivery: nothing while there is no order to deliver. */
export function deliveryBadge(row: OrderRow): { state: DeliveryState | 'preparing'; tone: Tone } | undefined {
  if (row.deliveryState) {
    return { state: row.deliveryState, tone: DELIVERY_TONES[row.deliveryState] ?? 'quiet' };
  }
  return row.orderState === 'OrderPlaced' ? { state: 'preparing', tone: 'waiting' } : undefined;
}

export const isCancellable = (row: OrderRow): boolean => isUnderWay(row);

/**
 * Of two states of one order the one that came later: an order never goes back, so what is further
 * is newer, whichever was heard last. An old page never takes back what was shown.
 */
export function newer(a: OrderRow, b: OrderRow): OrderRow {
  const times = STEP_TIMES.map((step) => [step, b[step] ?? a[step] ?? null]);
  return {
    ...b,
    ...Object.fromEntries(times),
    orderState: further(ORDER_STEPS, a.orderState, b.orderState),
    deliveryState: further(DELIVERY_STEPS, a.deliveryState, b.deliveryState),
  };
}

/** A state that is not known here yet is news. */
function further<S>(steps: readonly S[], a: S, b: S): S {
  const step = steps.indexOf(b);
  return step >= 0 && steps.indexOf(a) > step ? a : b;
}

/** `rows` with `row` new or changed, newest first. */
export function withRow(rows: readonly OrderRow[], row: OrderRow): OrderRow[] {
  return withRows(rows, [row]);
}

/** `rows` with all of `more` new or changed, newest first. */
export function withRows(rows: readonly OrderRow[], more: readonly OrderRow[]): OrderRow[] {
  const byId = new Map(rows.map((row) => [row.orderId, row]));
  for (const row of more) {
    const known = byId.get(row.orderId);
    byId.set(row.orderId, known ? newer(known, row) : row);
  }
  return [...byId.values()].sort((a, b) => b.orderId - a.orderId);
}

/** Whether `page` tells everything that `own` does, or something later. */
export function tells(page: readonly OrderRow[], own: OrderRow): boolean {
  const told = page.find((row) => row.orderId === own.orderId);
  if (!told) return false;
  const { orderState, deliveryState } = newer(own, told);
  return orderState === told.orderState && deliveryState === told.deliveryState;
}

/**
 * A page read again, over what was already shown: the older rows below it, and of its own rows
 * whatever is newer. What is shown and missing from its midst is not there any more, unless it is
 * one of `own`. Of another owner's page nothing is kept.
 */
export function withPage(
  shown: MyPage | undefined,
  page: MyPage,
  own: readonly OrderRow[] = [],
): MyPage {
  const oldest = page.orders.at(-1)?.orderId ?? Infinity;
  const listed = new Set(page.orders.map((row) => row.orderId));
  const before = shown?.customerId === page.customerId ? shown.orders : [];
  const kept = before.filter((row) => row.orderId < oldest || listed.has(row.orderId));
  return { ...page, orders: withRows(withRows(own, kept), page.orders) };
}

/** An order as its service answers it, as a row that no event has told of yet. */
export function rowOfOrder(order: Order, imageUrl: string | null, placedAt: string): OrderRow {
  const { id, price, state, productId, productName, quantity, customerName, customerAddr } = order;
  const before = { confirmedAt: null, startedAt: null, completedAt: null, cancelledAt: null, stoppedAt: null };
  return {
    ...before,
    orderId: id,
    productId,
    productName,
    imageUrl,
    quantity,
    payment: price * quantity,
    orderState: state,
    deliveryState: null,
    customerName,
    customerAddr,
    placedAt,
  };
}

/** Seconds from the order to the start of its delivery, by what their events say; undefined before both are known. */
export function secondsToStart({ placedAt, startedAt }: OrderRow): number | undefined {
  const took = Date.parse(startedAt ?? '') - Date.parse(placedAt);
  // Two clocks may disagree: what cannot be is not said.
  return took >= 0 ? took / 1_000 : undefined;
}
