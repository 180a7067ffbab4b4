/**
 * What the browser keeps for us, by key. Storage may be forbidden or full: then this page alone
 * remembers, and nothing breaks.
 */
export interface Kept {
  get: (key: string) => string | null;
  /** null forgets. */
  set: (key: string, value: string | null) => void;
}

/** For every tab of this browser, and the next visit. */
export const local = kept(() => localStorage);
/** For this tab, over its reloads. */
export const tab = kept(() => sessionStorage);

/** Calls `follow` with what another tab has kept; and with nothing when this one is shown again after it could not hear of it. */
export function onKept(follow: (told?: StorageEvent) => void): void {
  addEventListener('storage', follow);
  addEventListener('pageshow', () => follow());
}

export function readJson<T>(kept: Kept, key: string): T | undefined {
  try {
    return JSON.parse(kept.get(key) ?? '') as T;
  } catch {
    return undefined;
  }
}

function kept(storage: () => Storage): Kept {
  const here = new Map<string, string>();
  return {
    get: (key) => {
      try {
        return storage().getItem(key);
      } catch {
        return here.get(key) ?? null;
      }
    },
    set: (key, value) => {
      try {
        if (value === null) storage().removeItem(key);
        else storage().setItem(key, value);
      } catch {
        if (value === null) here.delete(key);
        else here.set(key, value);
      }
    },
  };
}
