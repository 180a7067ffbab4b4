/** The shapes that cross the network, as the mall's interface promises them. */

export type StockPolicy = 'reject' | 'cancel';

export interface Product {
  id: number;
  name: string;
  /** KRW. */
  price: number;
  stock: number;
  imageUrl: string | null;
  options: ProductOption[];
  stockPolicy: StockPolicy;
  version: number;
}

export interface ProductOption {
  id: number;
  name: string;
  optionName: string;
  desc: string;
}

export interface Page<T> {
  _embedded: Record<string, T[]>;
  page: { size: number; totalElements: number; totalPages: number; number: number };
}

export type OrderState = 'PENDING' | 'OrderPlaced' | 'OrderCancelled' | 'OrderRejected';
export type DeliveryState =
  | 'DeliveryStarted'
  | 'DeliveryCompleted'
  | 'DeliveryCancelled'
  | 'DeliveryReturned';

/** An order as its service answers it. */
export interface Order {
  id: number;
  productId: number;
  productName: string;
  quantity: number;
  /** KRW for one piece. */
  price: number;
  customerId: string;
  customerName: string;
  customerAddr: string;
  state: OrderState;
  reason: string | null;
}

/** An order as my page shows it. */
export interface OrderRow {
  orderId: number;
  productId: number;
  productName: string;
  imageUrl: string | null;
  quantity: number;
  /** KRW for all pieces. */
  payment: number;
  orderState: OrderState;
  deliveryState: DeliveryState | null;
  customerName: string;
  customerAddr: string;
  /** RFC 3339, as all of its steps: each is its event's own time, null before it. */
  placedAt: string;
  confirmedAt: string | null;
  startedAt: string | null;
  completedAt: string | null;
  /** Of the order, also where it was rejected. */
  cancelledAt: string | null;
  /** Of the delivery, also where it was sent back. */
  stoppedAt: string | null;
}

export interface Customer {
  nickname: string;
  address: string;
  /** KRW. */
  mileage: number;
}

export interface MyPage extends Customer {
  customerId: string;
  version: number;
  /** Where live updates go on from; opaque. */
  position: string;
  orders: OrderRow[];
}

export interface User {
  username: string;
  nickname: string;
  address: string;
  role: string;
}

export interface FieldError {
  field: string;
  reason: string;
  limit?: number | string;
}

/** RFC 9457; only what the app reads. */
export interface Problem {
  title?: string;
  detail?: string;
  errors?: FieldError[];
}
