/**
 * The products last seen, kept while new ones come; stock is asked for again while anyone looks.
 */
import { mall } from './api/mall';
import type { Product } from './api/wire';

/** How often a page in view asks for the stock again. */
const REFRESH_MS = 10_000;
/** How long what was read still counts as now, when a screen is entered. */
const FRESH_MS = 1_000;

export const catalogue = $state<{ products: Product[] | undefined; failure: unknown }>({
  products: undefined,
  failure: undefined,
});

let refreshing: Promise<void> | undefined;
let refreshedAt = 0;

export const productOf = (id: number): Product | undefined =>
  catalogue.products?.find((it) => it.id === id);

export function refreshProducts(): Promise<void> {
  refreshing ??= mall
    .products()
    .then(show, (failure: unknown) => {
      catalogue.failure = failure;
    })
    .finally(() => {
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
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', look);
  };
}

/** What a write answered, before the list is asked again. */
export function putProduct(product: Product): void {
  const others = (catalogue.products ?? []).filter((it) => it.id !== product.id);
  show([...others, product].sort((a, b) => a.id - b.id));
}

export function dropProduct(id: number): void {
  show((catalogue.products ?? []).filter((it) => it.id !== id));
}

function show(products: Product[]): void {
  catalogue.products = products;
  catalogue.failure = undefined;
}
