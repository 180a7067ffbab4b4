/**
 * The calls that order, sign up and register, and those that change what was read before: each of these is of one state
 * alone (`If-Match`), so that what somebody else has changed meanwhile is never written over unseen.
 */
import { call, Refused, type Answer } from './http';
import type { Order, Product, StockPolicy } from './wire';

/** How often a row that moves by itself is read again before it is left to the reader. */
const TRIES_MAX = 5;
const PRECONDITION_FAILED = 412;

export interface ProductFields {
  name: string;
  price: number;
  stock: number;
  stockPolicy: StockPolicy;
  imageUrl?: string;
}

export interface NewOrder {
  productId: number;
  quantity: number;
  /** Who orders: refused where the cookies are another's. */
  customerId?: string | undefined;
  customerName: string;
  customerAddr: string;
  /** KRW for one piece, as it was seen: another price is refused rather than charged. */
  expectedPrice?: number | undefined;
}

export interface NewUser {
  username: string;
  password: string;
  nickname: string;
  address: string;
}

export const placeOrder = (order: NewOrder, key: string): Promise<Answer<Order>> =>
  call('POST', '/orders', { json: order, headers: { 'Idempotency-Key': key } });

export const signUp = (user: NewUser): Promise<Answer<unknown>> =>
  call('POST', '/oauth/users', { json: user, bare: true });

export const readProduct = (id: number): Promise<Answer<Product>> => call('GET', `/products/${id}`);

export const registerProduct = (product: ProductFields, key: string): Promise<Answer<Product>> =>
  call('POST', '/products', { json: product, headers: { 'Idempotency-Key': key } });

export const changeProduct = (
  { id }: Product,
  change: Partial<ProductFields>,
  etag: string | null,
): Promise<Answer<Product>> => call('PATCH', `/products/${id}`, { json: change, ...only(etag) });

export const removeProduct = ({ id }: Product, etag: string | null): Promise<Answer<void>> =>
  call('DELETE', `/products/${id}`, only(etag));

export const readOrder = (id: number): Promise<Answer<Order>> => call('GET', `/orders/${id}`);

export const cancelOrder = ({ id }: Order, etag: string | null): Promise<Answer<Order>> =>
  call('PATCH', `/orders/${id}`, { json: { state: 'OrderCancelled' }, ...only(etag) });

/**
 * Changes what `seen` answered. Where it has changed meanwhile it is read again: `look` says whether
 * the change still stands, or is to be thought over first, which is undefined.
 */
export async function changeSeen<R, T>(
  seen: Answer<R>,
  read: () => Promise<Answer<R>>,
  look: (now: R) => boolean,
  change: (row: R, etag: string | null) => Promise<T>,
): Promise<T | undefined> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await change(seen.body, seen.etag);
    } catch (refusal) {
      const changed = refusal instanceof Refused && refusal.status === PRECONDITION_FAILED;
      if (!changed || tries === TRIES_MAX) throw refusal;
    }
    seen = await read();
    if (!look(seen.body)) return undefined;
  }
}

const only = (etag: string | null): { headers: Record<string, string> } => ({
  headers: etag ? { 'If-Match': etag } : {},
});
