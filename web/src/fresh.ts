/**
 * Parts of the app that are loaded when they are needed, by an app that may be older than the mall.
 *
 * After a deploy the files that an open tab knows of are gone. Where the mall is there but a file is
 * not, the page is loaded anew, which brings the new names, once: a second time within
 * {@link AGAIN_MS} the mistake is not age, and the reader is told instead.
 */
import { Refused, troubleOf } from './api/http';
import { tab } from './kept';

const RELOADED_AS = 'reloadedAt';
const AGAIN_MS = 60_000;
/** How soon a file is asked for again that no mall answered for. */
const RETRY_SECONDS = 3;

/** What is refused where the mall has no such part, even after it was loaded anew. */
export const OUTDATED = -3;

/**
 * What a part loads as; never settles where the page is being loaded anew.
 *
 * Throws a {@link Refused} that may be tried again where the mall did not answer, else
 * {@link OUTDATED}.
 */
export async function part<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch {
    if (!(await isThere())) throw new Refused(0, {}, RETRY_SECONDS, troubleOf(0, '', navigator.onLine));
    if (!reloadOnce()) throw new Refused(OUTDATED, {}, undefined);
    return new Promise(() => {});
  }
}

/** Loads the page anew, unless that was just done; whether it does. */
export function reloadOnce(): boolean {
  const now = Date.now();
  if (now - Number(tab.get(RELOADED_AS)) < AGAIN_MS) return false;
  tab.set(RELOADED_AS, String(now));
  location.reload();
  return true;
}

/** Whether the mall answers at all: loading anew while it does not would lose the page as well. */
async function isThere(): Promise<boolean> {
  try {
    return (await fetch('/', { method: 'HEAD', cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}
