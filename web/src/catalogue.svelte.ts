/**
 * The products last seen, kept while new ones come, and for the next visit; stock is asked for
 * again while anyone looks.
 */
import { mall } from './api/mall';
import type { Product } from './api/wire';
import { local, readJson } from './kept';

/** How often a page in view asks for the stock again. */
const REFRESH_MS = 10_000;
/** How long what was read still counts as now, when a screen is entered. */
const FRESH_MS = 1_000;
/** How long a first list is waited for before what was kept is shown. */
const SLOW_MS = 1_000;
/** What the next visit shows where nothing can be read. */
const KEPT_AS = 'catalogue';
/** A catalogue larger than this is kept for this page alone. */
const KEPT_CHARS_MAX = 500_000;

interface Seen {
  /** RFC 3339. */
  at: string;
  products: Product[];
}

interface Catalogue {
  products: Product[] | undefined;
  /** When they were read, RFC 3339. */
  at: string;
  /** Why they could not be read again: what is shown is of then. */
  failure: unknown;
}

export const catalogue = $state<Catalogue>({ products: undefined, at: '', failure: undefined });

let refreshing: Promise<void> | undefined;
let refreshedAt = 0;

export const productOf = (id: number): Product | undefined =>
  catalogue.products?.find((it) => it.id === id);

export function refreshProducts(): Promise<void> {
  if (refreshing) return refreshing;
  const slow = setTimeout(late, SLOW_MS);
  refreshing = mall
    .products()
    .then(read, failed)
    .finally(() => {
      clearTimeout(slow);
      refreshedAt = Date.now();
      refreshing = undefined;
    });
  return refreshing;
}

/** Asks again where anything is known: something has happened to the stock. */
export async function refreshKnownProducts(): Promise<void> {
  if (!catalogue.products) return;
  // What is on its way may have been answered before it happened.
  await refreshing;
  await refreshProducts();
}

/** Keeps the products fresh until the answer is called: at once, on coming back, and regularly. */
export function watchProducts(): () => void {
  const look = (): void => {
    if (document.visibilityState === 'visible') void refreshProducts();
  };
  if (Date.now() - refreshedAt > FRESH_MS) look();
  const timer = setInterval(look, REFRESH_MS);
  document.addEventListener('visibilitychange', look);
  addEventListener('online', look);
  addEventListener('offline', look);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', look);
    removeEventListener('online', look);
    removeEventListener('offline', look);
  };
}

/** Shows what was kept, marked with its time, until the list comes. */
function late(): void {
  if (!catalogue.at && recall()) catalogue.failure = late;
}

function failed(failure: unknown): void {
  catalogue.failure = failure;
  if (!catalogue.at) recall();
}

/** Whether anything was kept. */
function recall(): boolean {
  const seen = readJson<Seen>(local, KEPT_AS);
  if (!Array.isArray(seen?.products)) return false;
  Object.assign(catalogue, seen);
  return true;
}

function read(products: Product[]): void {
  const seen: Seen = { at: new Date().toISOString(), products };
  Object.assign(catalogue, seen, { failure: undefined });
  const text = JSON.stringify(seen);
  local.set(KEPT_AS, text.length > KEPT_CHARS_MAX ? null : text);
}
