/**
 * My page, live: read once (or taken from the prerendered page), then changed by events.
 *
 * One stream for the whole app. It is closed while the tab is hidden, because a browser has few
 * connections to one address, and goes on from the last position without a gap. What one has done
 * oneself stands over it until it is told here too.
 */
import { LEFT, Refused } from './api/http';
import { eventsOf, mall } from './api/mall';
import type { Customer, MyPage, OrderRow } from './api/wire';
import { refreshKnownProducts } from './catalogue.svelte';
import { Heartbeat } from './heartbeat';
import { live, nothing } from './live.svelte';
import { deliveryBadge, newer, withPage, withRow, withRows } from './orders';
import { onKept } from './kept';
import { ownRows, recall, remember, settle } from './own.svelte';
import { currentUser, onLeave, stillSignedIn } from './session.svelte';
import { announce } from './spoken.svelte';
import { stateWords } from './texts/states';

/** Rows on one page of my page. */
export const ROWS_PER_PAGE = 20;
/** How soon a stream that was refused, or a stale page, is tried again. */
const RETRY_MS = 3_000;

let stream: EventSource | undefined;
let position = '';
let retry: ReturnType<typeof setTimeout> | undefined;
const heartbeat = new Heartbeat(broken);

onLeave(() => {
  close();
  position = '';
  Object.assign(live, nothing());
});

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') close();
  else open();
});
// What one has done in another tab is one's own here too, and what is not told of it soon is asked for.
onKept(() => {
  if (recall().filter(changeRow).length > 0) doubt();
});
// A network that comes back does not say what was lost with it.
addEventListener('offline', broken);
addEventListener('online', broken);

/** The newest orders as far as they are known, before there is a page too. */
export const shownOrders = (): readonly OrderRow[] => live.page?.orders ?? ownRows();

/** Begins from the page the server rendered. */
export function startFrom(page: MyPage, staleSince: string | null): void {
  show(page, staleSince);
  open();
  stale(page.customerId, staleSince);
}

/** Makes sure that the page is there and live; a read no older than `after` where one is given. */
export async function keepLive(after?: string | null): Promise<void> {
  const owner = live.page?.customerId ?? currentUser()?.username;
  if (!owner) return;
  if (live.page && (live.connected || !after)) {
    open();
    if (after) doubt();
  } else {
    await read(owner, after);
  }
}

export const rowOf = (orderId: number): OrderRow | undefined =>
  shownOrders().find((row) => row.orderId === orderId);

/** What one has just done oneself. */
export function showOwn(row: OrderRow): void {
  remember(row);
  if (live.page) changeRow(row);
}

async function read(owner: string, after?: string | null): Promise<void> {
  try {
    const { body, staleSince } = await mall.myPage(owner, after);
    live.failure = undefined;
    show(body, staleSince);
    open();
    stale(owner, staleSince);
  } catch (failure) {
    // Whoever is here instead is told nothing of it.
    if (failure instanceof Refused && failure.status === LEFT) return;
    live.failure = failure;
    // Whoever looks is told; what has happened meanwhile is brought without being asked for.
    if (failure instanceof Refused && failure.trouble) again(() => void read(owner));
  }
}

/** A stream that does not bring what was just done is alive, but may not be of now. */
function doubt(): void {
  again(() => ownRows().length > 0 && live.page && void read(live.page.customerId));
}

/** A page from `since` is read again until it is of now. */
function stale(owner: string, since: string | null): void {
  live.staleSince = since;
  if (since) again(() => live.staleSince && void read(owner));
}

function show(page: MyPage, staleSince: string | null): void {
  position = page.position;
  // A page of the past knows nothing of what has come since.
  const own = staleSince ? withRows(ownRows(), live.page?.orders ?? []) : ownRows();
  if (!live.page) live.more = page.orders.length === ROWS_PER_PAGE;
  live.page = withPage(live.page, page, own);
  if (!staleSince) settle(page.orders);
}

/** Opens the stream of whoever's page is shown. */
function open(): void {
  const owner = live.page?.customerId;
  if (!owner || stream || document.visibilityState === 'hidden') return;
  clearTimeout(retry);
  stream = new EventSource(eventsOf(owner, position));
  stream.onopen = () => Object.assign(live, { connected: true, lost: false });
  stream.addEventListener('alive', () => heartbeat.heard());
  heartbeat.heard();
  stream.onerror = () => {
    Object.assign(live, { connected: false, lost: true });
    // The browser tries again by itself, but not after a refusal: the session may have run out.
    if (stream?.readyState === EventSource.CLOSED) {
      close();
      again(() => void stillSignedIn().then((signedIn) => signedIn && open(), open));
    }
  };
  listen(stream, 'order', (row: OrderRow) => {
    changeRow(row);
    settle([row]);
  });
  listen(stream, 'customer', (customer: Customer) => {
    if (live.page) Object.assign(live.page, customer);
  });
  listen(stream, 'reset', (page: MyPage) => show(page, null));
}

/** The stream is no more, or may be no more: it is opened anew where there is a network. */
function broken(): void {
  if (!live.page) return;
  close();
  live.lost = true;
  if (navigator.onLine) open();
}

function listen<T>(source: EventSource, name: string, take: (news: T) => void): void {
  source.addEventListener(name, (event: MessageEvent<string>) => {
    if (event.lastEventId) position = event.lastEventId;
    heartbeat.heard();
    live.staleSince = null;
    take(JSON.parse(event.data) as T);
  });
}

/** Whether it is news. */
function changeRow(news: OrderRow): boolean {
  if (!live.page) return false;
  const before = rowOf(news.orderId);
  const row = before ? newer(before, news) : news;
  const same =
    before?.orderState === row.orderState && before.deliveryState === row.deliveryState;
  live.page.orders = withRow(live.page.orders, row);
  if (same) return false;
  // An order that moves has moved its product's stock, or soon will have.
  void refreshKnownProducts();
  live.changed = row.orderId;
  const delivery = deliveryBadge(row);
  const words = [stateWords.order[row.orderState], delivery && stateWords.delivery[delivery.state]];
  announce(stateWords.spokenChange(row.orderId, words.filter(Boolean).join(', ')));
  return true;
}

function close(): void {
  clearTimeout(retry);
  heartbeat.stop();
  stream?.close();
  stream = undefined;
  live.connected = false;
}

function again(what: () => void): void {
  clearTimeout(retry);
  retry = setTimeout(what, RETRY_MS);
}
