/**
 * One thing a customer asked for: sent, told about when refused, and sent again by itself while
 * the mall is too busy, each time under the same key, so that it happens once.
 */
import { Refused } from './api/http';
import { newKey } from './keys';

/** How often a busy mall is asked again before the customer decides. */
const TRIES_MAX = 5;
/** Who is told to come back later than this is not kept waiting, but told so. */
const WAIT_SECONDS_MAX = 30;
const SECOND_MS = 1_000;

export type Phase = 'idle' | 'running' | 'waiting' | 'refused';

export class Attempt {
  phase = $state<Phase>('idle');
  /** Seconds until the next try, while waiting. */
  seconds = $state(0);
  /** Why it did not go through, while waiting or refused. */
  refusal = $state<Refused>();
  /** Whether the customer gave up waiting. */
  stopped = $state(false);
  /** Whether the mall asked for more patience than is waited out here. */
  late = $state(false);
  #timer: ReturnType<typeof setInterval> | undefined;
  #unsettled: { about: string; key: string } | undefined;
  #wake: ((goOn: boolean) => void) | undefined;

  get busy(): boolean {
    return this.phase === 'running' || this.phase === 'waiting';
  }

  /**
   * Runs `send` to its end; undefined where it was refused or given up.
   *
   * `about` is what is asked for: the same again, after an answer that never came, is still the
   * same wish and keeps its key. `repeats` says whether a refusal that passes is waited out.
   */
  async run<T>(
    about: unknown,
    send: (key: string) => Promise<T>,
    repeats: (refusal: Refused) => boolean = () => true,
  ): Promise<T | undefined> {
    if (this.busy) return undefined;
    const key = this.#keyFor(JSON.stringify(about));
    this.stopped = this.late = false;
    for (let tries = 1; ; tries += 1) {
      this.phase = 'running';
      try {
        const answer = await send(key);
        this.#unsettled = undefined;
        this.clear();
        return answer;
      } catch (error) {
        this.refusal = error instanceof Refused ? error : new Refused(-1, {}, undefined);
        const wait = this.refusal.retrySeconds;
        if (wait === undefined) this.#unsettled = undefined;
        this.late = wait !== undefined && (wait > WAIT_SECONDS_MAX || !repeats(this.refusal));
        const mayWait = wait !== undefined && !this.late && tries < TRIES_MAX;
        if (!mayWait || !(await this.#countDown(wait))) {
          this.phase = 'refused';
          return undefined;
        }
      }
    }
  }

  /** Gives up waiting. */
  stop(): void {
    this.stopped = true;
    this.#finish(false);
  }

  clear(): void {
    this.#finish(false);
    this.phase = 'idle';
    this.refusal = undefined;
  }

  #keyFor(about: string): string {
    if (this.#unsettled?.about !== about) this.#unsettled = { about, key: newKey() };
    return this.#unsettled.key;
  }

  #countDown(seconds: number): Promise<boolean> {
    this.phase = 'waiting';
    this.seconds = seconds;
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = setInterval(() => {
        this.seconds -= 1;
        if (this.seconds <= 0) this.#finish(true);
      }, SECOND_MS);
    });
  }

  #finish(goOn: boolean): void {
    clearInterval(this.#timer);
    this.#wake?.(goOn);
    this.#wake = undefined;
  }
}
