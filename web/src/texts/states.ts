/** What an order's and a delivery's states are called. `mall/templates/mypage.html` says the same: change both. */
import { speak } from '../locale.svelte';

export const stateWords = speak({
  ko: {
    order: {
      PENDING: '주문 접수',
      OrderPlaced: '주문 완료',
      OrderCancelled: '취소 됨',
      OrderRejected: '거절 됨',
    },
    delivery: {
      preparing: '배송 준비 중',
      DeliveryStarted: '배송 시작',
      DeliveryCompleted: '배송 완료',
      DeliveryCancelled: '배송 취소 됨',
      DeliveryReturned: '반품 됨',
    },
    spokenChange: (order: number, what: string) => `주문 ${order}번: ${what}`,
  },
  en: {
    order: {
      PENDING: 'Order taken',
      OrderPlaced: 'Order placed',
      OrderCancelled: 'Cancelled',
      OrderRejected: 'Rejected',
    },
    delivery: {
      preparing: 'Preparing',
      DeliveryStarted: 'On its way',
      DeliveryCompleted: 'Delivered',
      DeliveryCancelled: 'Delivery cancelled',
      DeliveryReturned: 'Returned',
    },
    spokenChange: (order, what) => `Order ${order}: ${what}`,
  },
});
