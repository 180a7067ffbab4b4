import { expect, test } from 'vitest';
import { Refused, troubleOf } from '../src/api/http';
import { priceNow } from '../src/prices';

test.each([
  [0, '', true, 'down'],
  [0, '', false, 'offline'],
  [429, 'yeoul; error=http_request_denied', true, 'busy'],
  [503, '', true, 'busy'],
  [503, 'yeoul; error=connection_limit_reached', true, 'busy'],
  [503, 'yeoul; error=connection_refused', true, 'down'],
  [503, 'yeoul; error=destination_unavailable', true, 'down'],
  [504, 'yeoul; error=http_response_timeout', true, 'busy'],
  [504, 'yeoul; error=connection_timeout', true, 'down'],
  [502, 'yeoul; error=http_protocol_error', true, 'down'],
  [500, '', true, undefined],
  [409, '', true, undefined],
])('%i with %j, online %s, is %s', (status, proxy, online, trouble) => {
  expect(troubleOf(status, proxy, online)).toBe(trouble);
});

test('another price is read from the refusal, and from no other refusal', () => {
  const refusal = (status: number, field: string, limit?: number): Refused =>
    new Refused(status, { errors: [{ field, reason: '', ...(limit === undefined ? {} : { limit }) }] }, undefined);
  expect(priceNow(refusal(409, 'expectedPrice', 12_000))).toBe(12_000);
  expect(priceNow(refusal(409, 'quantity', 3))).toBeUndefined();
  expect(priceNow(refusal(400, 'expectedPrice', 12_000))).toBeUndefined();
  expect(priceNow(new Refused(409, {}, undefined))).toBeUndefined();
});
