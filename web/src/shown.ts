/**
 * What one does oneself to one's orders, as my page shows it before it is told there, and to products,
 * as the list does; loaded with the screens that do so.
 */
import { mall } from './api/mall';
import type { Order, Product } from './api/wire';
import { catalogue } from './catalogue.svelte';
import { live, rowOf, ROWS_PER_PAGE, showOwn } from './live.svelte';
import { withRows } from './orders';

/** The rows below those shown. */
export async function olderOrders(): Promise<void> {
  const page = live.page;
  if (!page) return;
  const shown = page.orders.length;
  const { body } = await mall.myPage(page.customerId, null, Math.floor(shown / ROWS_PER_PAGE));
  page.orders = withRows(body.orders, page.orders);
  live.more = page.orders.length > shown && body.orders.length === ROWS_PER_PAGE;
}

/** An order as it was just taken, unless an event has brought it already. */
export function showTaken(order: Order, imageUrl: string | null, now: string): void {
  if (rowOf(order.id)) return;
  showOwn({
    orderId: order.id,
    productId: order.productId,
    productName: order.productName,
    imageUrl,
    quantity: order.quantity,
    payment: order.price * order.quantity,
    orderState: order.state,
    deliveryState: null,
    placedAt: now,
  });
}

export function showCancelled(orderId: number): void {
  const row = rowOf(orderId);
  if (row) showOwn({ ...row, orderState: 'OrderCancelled' });
}

/** What a write answered, before the list is asked again. */
export function putProduct(product: Product): void {
  const others = (catalogue.products ?? []).filter((it) => it.id !== product.id);
  catalogue.products = [...others, product].sort((a, b) => a.id - b.id);
}

export function dropProduct(id: number): void {
  catalogue.products = (catalogue.products ?? []).filter((it) => it.id !== id);
}
