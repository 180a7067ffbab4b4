/** The wish to have an order cancelled: asked about, sent as of what was seen, and told about. */
import { cancelOrder, changeSeen, readOrder } from './api/changes';
import type { Answer, Refused } from './api/http';
import type { Order, OrderRow, OrderState } from './api/wire';
import { Attempt } from './attempt.svelte';
import { showCancelled } from './shown';
import { mineWords } from './texts/mine';
import { forThem } from './theirs';

/** States that an order reaches by itself, and can be cancelled in. */
const GOES_ON: OrderState[] = ['PENDING', 'OrderPlaced'];

export class Cancellation {
  asking = $state(false);
  /** What somebody else has made of it meanwhile. */
  met = $state.raw<{ before: OrderState; now: OrderState }>();
  readonly attempt = new Attempt();
  /** The order as it was when one was asked, with the tag that the change of it names. */
  #seen: Promise<Answer<Order>> | undefined;
  #before: OrderState = 'PENDING';
  readonly #row: () => OrderRow;

  constructor(row: () => OrderRow) {
    this.#row = row;
  }

  /** Whether there is something to say of it. */
  get told(): boolean {
    const { phase, slow } = this.attempt;
    return this.asking || phase === 'waiting' || phase === 'refused' || slow || this.met !== undefined;
  }

  ask(): void {
    this.asking = !this.asking;
    this.met = undefined;
    this.#before = this.#row().orderState;
    if (this.asking) void this.#see().catch(() => undefined);
  }

  /** Whether it was cancelled, or what stands in the way is said. */
  async send(): Promise<boolean> {
    this.asking = false;
    const { orderId } = this.#row();
    const done = await this.attempt.run(orderId, forThem(() => this.#change()));
    if (!done || this.met) return false;
    showCancelled(orderId);
    return true;
  }

  /** The order stays. */
  keep(): void {
    this.asking = false;
    this.met = undefined;
    this.attempt.clear();
  }

  readonly reason = (refusal: Refused): string | undefined => {
    if (refusal.status === 412) return mineWords.cancelNotNow;
    if (refusal.status !== 409) return undefined;
    return this.#row().deliveryState === 'DeliveryCompleted' ? mineWords.cancelTooLate : mineWords.cancelNotNow;
  };

  #see(): Promise<Answer<Order>> {
    const read = readOrder(this.#row().orderId);
    this.#seen = read;
    read.catch(() => (this.#seen = undefined));
    return read;
  }

  /** Cancels what was seen. An order that only went on its own way meanwhile is the same to its customer. */
  async #change(): Promise<true> {
    const look = (now: Order): boolean => {
      if (GOES_ON.includes(now.state)) return true;
      this.met = { before: this.#before, now: now.state };
      return false;
    };
    const asked = await (this.#seen ?? this.#see());
    if (look(asked.body)) await changeSeen(asked, () => this.#see(), look, cancelOrder);
    return true;
  }
}
