/**
 * One thing a customer asked for: sent, told about when refused, and sent again by itself while
 * the mall is too busy, each time under the same key, so that it happens once.
 */
import { Refused } from './api/http';

/** How often a busy mall is asked again before the customer decides. */
const TRIES_MAX = 5;
const SECOND_MS = 1_000;

export type Phase = 'idle' | 'running' | 'waiting' | 'refused';

export class Attempt {
  phase = $state<Phase>('idle');
  /** Seconds until the next try, while waiting. */
  seconds = $state(0);
  /** Why it did not go through, while waiting or refused. */
  refusal = $state<Refused>();
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
   * same wish and keeps its key.
   */
  async run<T>(about: unknown, send: (key: string) => Promise<T>): Promise<T | undefined> {
    if (this.busy) return undefined;
    const key = this.#keyFor(JSON.stringify(about));
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
        const goOn = wait !== undefined && tries < TRIES_MAX && (await this.#countDown(wait));
        if (!goOn) {
          this.phase = 'refused';
          return undefined;
        }
      }
    }
  }

  /** Gives up waiting. */
  stop(): void {
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

/** Works on plain http too, where `crypto.randomUUID` is missing. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
