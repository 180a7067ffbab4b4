/** Which screen a path shows; pure, so that it can be tested without a browser. */

export type Route =
  | { screen: 'products'; name: string }
  | { screen: 'product'; id: number; quantity: number }
  | { screen: 'order'; id: number }
  | { screen: 'my-page' }
  | { screen: 'sign-in'; from: string }
  | { screen: 'sign-up'; from: string }
  | { screen: 'not-found' }
  /** What the server answered in the place of a page. */
  | { screen: 'refused'; status: number };

/** The least and the most pieces one order takes. */
export const QUANTITY_MIN = 1;
export const QUANTITY_MAX = 1000;

/**
 * The screen for a page that came with `status`: what the server says of an address stands until
 * one goes elsewhere. Who has been `signedIn` may still be, so their own screens ask themselves.
 */
export function firstRoute(status: number, signedIn: boolean, path: string, search: string): Route {
  const route = matchRoute(path, search);
  if (status < 400) return route;
  // An order's screen says itself that there is none.
  if (status === 404) return route.screen === 'order' ? route : { screen: 'not-found' };
  if (status !== 401) return { screen: 'refused', status };
  const isOwn = route.screen === 'my-page' || route.screen === 'order';
  if (route.screen === 'sign-in' || (signedIn && isOwn)) return route;
  return { screen: 'sign-in', from: ownPath(path + search) };
}

export function matchRoute(path: string, search: string): Route {
  const query = new URLSearchParams(search);
  const product = /^\/products\/([1-9]\d{0,14})$/.exec(path)?.[1];
  if (product) {
    return { screen: 'product', id: Number(product), quantity: pieces(query.get('quantity')) };
  }
  const order = /^\/orders\/([1-9]\d{0,14})$/.exec(path)?.[1];
  if (order) return { screen: 'order', id: Number(order) };
  switch (path) {
    case '/':
    case '/products':
      return { screen: 'products', name: query.get('name') ?? '' };
    case '/mypage':
      return { screen: 'my-page' };
    case '/signin':
      return { screen: 'sign-in', from: ownPath(query.get('from')) };
    case '/signup':
      return { screen: 'sign-up', from: ownPath(query.get('from')) };
    default:
      return { screen: /^\/mypages\/[^/]+$/.test(path) ? 'my-page' : 'not-found' };
  }
}

/** `from` if it is a path of this shop, else the front page: never a way out to elsewhere. */
export function ownPath(from: string | null): string {
  const own = from !== null && /^\/(?![/\\])[^\\\s]*$/.test(from);
  return own && !/^\/sign(in|up)\b/.test(from) ? from : '/';
}

/** The path that shows `screen` and then comes back to `from`. */
export function signPath(screen: 'signin' | 'signup', from: string): string {
  return from === '/' ? `/${screen}` : `/${screen}?from=${encodeURIComponent(from)}`;
}

/** A quantity as an address says it in digits, brought within what one order takes. */
export function pieces(text: string | null): number {
  return within(/^\d+$/.test(text ?? '') ? Number(text) : QUANTITY_MIN);
}

/** The nearest to `number` that one order takes. */
export const within = (number: number): number =>
  Math.min(QUANTITY_MAX, Math.max(QUANTITY_MIN, number));
