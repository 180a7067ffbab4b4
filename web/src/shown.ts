/**
 * What one does oneself to one's orders, as my page shows it before it is told there, and to products,
 * as the list does; loaded with the screens that do so.
 */
import { mall } from './api/mall';
import type { Order, OrderRow, Product } from './api/wire';
import { catalogue } from './catalogue.svelte';
import { live } from './live.svelte';
import { rowOfOrder, withRows } from './orders';
import { rowOf, ROWS_PER_PAGE, showOwn } from './stream';

/** How far back a single order is looked for: so many pages of so many rows. */
const LOOKED_PAGES_MAX = 10;
const LOOKED_PAGE_SIZE = 100;

/** The rows below those shown. */
export async function olderOrders(): Promise<void> {
  const page = live.page;
  if (!page) return;
  const shown = page.orders.length;
  const { body } = await mall.myPage(page.customerId, null, Math.floor(shown / ROWS_PER_PAGE));
  page.orders = withRows(body.orders, page.orders);
  live.more = page.orders.length > shown && body.orders.length === ROWS_PER_PAGE;
}

/** The row of an older order than those shown, as far back as one looks; undefined where there is none. */
export async function olderRow(owner: string, orderId: number): Promise<OrderRow | undefined> {
  for (let page = 0; page < LOOKED_PAGES_MAX; page += 1) {
    const { orders } = (await mall.myPage(owner, null, page, LOOKED_PAGE_SIZE)).body;
    const found = orders.find((row) => row.orderId === orderId);
    // Newest first: behind an older one it does not come any more.
    if (found || orders.length < LOOKED_PAGE_SIZE || (orders.at(-1)?.orderId ?? 0) < orderId) return found;
  }
  return undefined;
}

let justTaken: number | undefined;

/** Whether it was taken a moment ago, to be shown step by step; once. */
export function wasJustTaken(orderId: number): boolean {
  const was = justTaken === orderId;
  justTaken = undefined;
  return was;
}

/** An order as it was just taken, unless an event has brought it already. */
export function showTaken(order: Order, imageUrl: string | null, now: string): void {
  justTaken = order.id;
  if (!rowOf(order.id)) showOwn(rowOfOrder(order, imageUrl, now));
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
