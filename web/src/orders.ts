/** What an order's states mean to its customer; pure. */
import type { DeliveryState, MyPage, OrderRow, OrderState } from './api/wire';

export type Tone = 'waiting' | 'good' | 'stopped' | 'live' | 'quiet';

const ORDER_TONES: Record<OrderState, Tone> = {
  PENDING: 'waiting',
  OrderPlaced: 'good',
  OrderCancelled: 'stopped',
  OrderRejected: 'stopped',
};

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

/** Still to be delivered. */
export function isUnderWay(row: OrderRow): boolean {
  const placed = row.orderState === 'PENDING' || row.orderState === 'OrderPlaced';
  return placed && (row.deliveryState === null || row.deliveryState === 'DeliveryStarted');
}

/** `rows` with `row` new or changed, newest first. */
export function withRow(rows: readonly OrderRow[], row: OrderRow): OrderRow[] {
  return withRows(rows, [row]);
}

/** `rows` with all of `more` new or changed, newest first. */
export function withRows(rows: readonly OrderRow[], more: readonly OrderRow[]): OrderRow[] {
  const byId = new Map([...rows, ...more].map((row) => [row.orderId, row]));
  return [...byId.values()].sort((a, b) => b.orderId - a.orderId);
}

/** A page read again, with the older rows that were already shown below it. */
export function withPage(shown: MyPage | undefined, page: MyPage): MyPage {
  const oldest = page.orders.at(-1)?.orderId ?? Infinity;
  const older = shown?.orders.filter((row) => row.orderId < oldest) ?? [];
  return { ...page, orders: withRows(older, page.orders) };
}
