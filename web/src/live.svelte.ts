/**
 * What my page shows, live. What keeps it so (`stream.ts`) is loaded for whoever is signed in: a visitor has
 * no use for it.
 */
import type { MyPage } from './api/wire';
import { part } from './fresh';

interface Live {
  page: MyPage | undefined;
  /** There may be older orders than the page has. */
  more: boolean;
  connected: boolean;
  /** The stream broke off and is being opened again. */
  lost: boolean;
  staleSince: string | null;
  failure: unknown;
  /** The row that changed last, to be pointed out once. */
  changed: number | undefined;
}

export const nothing = (): Live => ({
  page: undefined,
  more: false,
  connected: false,
  lost: false,
  staleSince: null,
  failure: undefined,
  changed: undefined,
});

export const live = $state<Live>(nothing());

export const loadStream = (): Promise<typeof import('./stream')> => part(() => import('./stream'));

/** Makes sure that the page is there and live; a read no older than `after` where one is given. */
export async function ensureLive(after?: string | null): Promise<void> {
  try {
    await (await loadStream()).keepLive(after);
  } catch (failure) {
    live.failure = failure;
  }
}
