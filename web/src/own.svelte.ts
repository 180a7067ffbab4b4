/**
 * What one has just done oneself, kept until my page tells it too: an order that was taken, one
 * that was cancelled. Kept for this tab over a reload, for the sign-in that did it and no other.
 */
import type { OrderRow } from './api/wire';
import { readJson, tab } from './kept';
import { tells, withRow } from './orders';
import { onLeave, signInMark } from './session.svelte';

const KEPT_AS = 'ownOrders';
/** More are never under way at once by one pair of hands. */
const ROWS_MAX = 20;

interface Stored {
  of: string | null;
  rows: OrderRow[];
}

const stored = readJson<Stored>(tab, KEPT_AS);
const own = $state<{ rows: OrderRow[] }>({
  rows: stored && stored.of && stored.of === signInMark() ? stored.rows : [],
});

onLeave(() => put([]));

export const ownRows = (): readonly OrderRow[] => own.rows;

export function remember(row: OrderRow): void {
  put(withRow(own.rows, row).slice(0, ROWS_MAX));
}

/** Forgets what `page`, which is of now, tells as well. */
export function settle(page: readonly OrderRow[]): void {
  const open = own.rows.filter((row) => !tells(page, row));
  if (open.length < own.rows.length) put(open);
}

function put(rows: OrderRow[]): void {
  own.rows = rows;
  const kept: Stored = { of: signInMark(), rows };
  tab.set(KEPT_AS, rows.length > 0 ? JSON.stringify(kept) : null);
}
