/** What the mall would charge instead, where it refused the price that was expected; pure. */
import type { Refused } from './api/http';

/** KRW for one piece; undefined where the price was not the reason. */
export function priceNow(refusal: Refused): number | undefined {
  if (refusal.status !== 409) return undefined;
  const error = refusal.errors.find((it) => it.field === 'expectedPrice');
  const price = Number(error?.limit);
  return error && Number.isFinite(price) ? price : undefined;
}
