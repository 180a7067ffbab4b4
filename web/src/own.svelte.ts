/**
 * What one has just done oneself, kept until my page tells it too: an order that was taken, one
 * that was cancelled. Kept over a reload and for every tab, for the sign-in that did it and no other.
 */
import type { OrderRow } from './api/wire';
import { local, readJson } from './kept';
import { tells, withRow } from './orders';
import { onLeave, signInMark } from './session.svelte';

const KEPT_AS = 'ownOrders';
/** More are never under way at once by one pair of hands. */
const ROWS_MAX = 20;

interface Stored {
  of: string | null;
  rows: OrderRow[];
}

const own = $state<{ rows: OrderRow[] }>({ rows: stored() });

onLeave(() => put([]));

export const ownRows = (): readonly OrderRow[] => own.rows;

export function remember(row: OrderRow): void {
  put(withRow(stored(), row).slice(0, ROWS_MAX));
}

/** Forgets what `page`, which is of now, tells as well. */
export function settle(page: readonly OrderRow[]): void {
  if (own.rows.length > 0) put(stored().filter((row) => !tells(page, row)));
}

/** What every tab has kept, of whoever is signed in now, as one's own here too. */
export const recall = (): OrderRow[] => (own.rows = stored());

function stored(): OrderRow[] {
  const kept = readJson<Stored>(local, KEPT_AS);
  return kept?.of && kept.of === signInMark() ? kept.rows : [];
}

function put(rows: OrderRow[]): void {
  own.rows = rows;
  const kept: Stored = { of: signInMark(), rows };
  local.set(KEPT_AS, rows.length > 0 ? JSON.stringify(kept) : null);
}
