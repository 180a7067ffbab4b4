/**
 * Pictures that could not be loaded a moment ago: each is asked for once, wherever it stands, and
 * drawn instead until {@link AGAIN_MS} have passed.
 */
const AGAIN_MS = 60_000;
/** More addresses than this are not remembered at once. */
const ADDRESSES_MAX = 500;

const failed = new Map<string, number>();

export function hasFailed(address: string, now = Date.now()): boolean {
  return now - (failed.get(address) ?? -Infinity) < AGAIN_MS;
}

export function noteFailed(address: string, now = Date.now()): void {
  if (failed.size >= ADDRESSES_MAX) failed.clear();
  failed.set(address, now);
}
