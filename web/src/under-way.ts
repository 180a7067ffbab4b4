/** Which orders their customer still waits for; pure, and all of an order that the bar needs. */
import type { OrderRow } from './api/wire';

/** Still to be delivered. */
export function isUnderWay(row: OrderRow): boolean {
  const placed = row.orderState === 'PENDING' || row.orderState === 'OrderPlaced';
  return placed && (row.deliveryState === null || row.deliveryState === 'DeliveryStarted');
}
