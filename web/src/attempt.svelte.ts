/**
 * One thing a customer asked for: sent, told about when refused, and sent again by itself while
 * the mall is too busy, each time under the same key, so that it happens once.
 */
import { LEFT, Refused } from './api/http';
import { newKey } from './keys';

/** How often a busy mall is asked again before the customer decides. */
const TRIES_MAX = 5;
/** Who is told to come back later than this is not kept waiting, but told so. */
const WAIT_SECONDS_MAX = 30;
const SECOND_MS = 1_000;
/** After so long without an answer it is said that it takes long. */
const SLOW_MS = 4_000;

/** Which key a wish is sent under, while it is not known what became of it. */
export interface Keys {
  /** The key of the wish `about`: the one it was sent under before, else a new one. */
  of: (about: string) => string;
  /** What became of it is known: the same again is another wish. */
  settle: (about: string) => void;
}

export type Phase = 'idle' | 'running' | 'waiting' | 'refused';

export class Attempt {
  phase = $state<Phase>('idle');
  /** Whether what runs has had no answer for longer than one waits without a word. */
  slow = $state(false);
  /** Seconds until the next try, while waiting. */
  seconds = $state(0);
  /** Why it did not go through, while waiting or refused. */
  refusal = $state<Refused>();
  /** Whether the customer gave up waiting. */
  stopped = $state(false);
  /** Whether the mall asked for more patience than is waited out here. */
  late = $state(false);
  /** Which run it is that is shown: one that was cleared goes on unseen. */
  #turn = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #wake: ((goOn: boolean) => void) | undefined;
  readonly #keys: Keys;

  /** `keys` outlives this attempt where a reload must not ask for the same twice. */
  constructor(keys: Keys = lastKey()) {
    this.#keys = keys;
  }

  get busy(): boolean {
    return this.phase === 'running' || this.phase === 'waiting';
  }

  /**
   * Runs `send` to its end; undefined where it was refused or given up.
   *
   * `about` is what is asked for: the same again, after an answer that never came, is still the
   * same wish and keeps its key: only an answer that refuses it (4xx, and no passing trouble) says
   * that nothing was done. Nothing is said to who has not asked. `repeats` says whether a refusal that passes is waited out.
   */
  async run<T>(
    about: unknown,
    send: (key: string) => Promise<T>,
    repeats: (refusal: Refused) => boolean = () => true,
  ): Promise<T | undefined> {
    if (this.busy) return undefined;
    const wish = JSON.stringify(about);
    const key = this.#keys.of(wish);
    const turn = (this.#turn += 1);
    this.stopped = this.late = false;
    for (let tries = 1; ; tries += 1) {
      this.phase = 'running';
      const slow = setTimeout(() => (this.slow = turn === this.#turn), SLOW_MS);
      try {
        const answer = await send(key);
        this.#keys.settle(wish);
        if (turn === this.#turn) this.clear();
        return answer;
      } catch (error) {
        if (turn === this.#turn) this.slow = false;
        const refusal = error instanceof Refused ? error : new Refused(-1, {}, undefined);
        const wait = refusal.retrySeconds;
        if (wait === undefined && isNo(refusal.status)) this.#keys.settle(wish);
        if (turn !== this.#turn) return undefined;
        if (refusal.status === LEFT) return this.clear();
        this.refusal = refusal;
        this.late = wait !== undefined && (wait > WAIT_SECONDS_MAX || !repeats(refusal));
        const mayWait = wait !== undefined && !this.late && tries < TRIES_MAX;
        if (!mayWait || !(await this.#countDown(wait))) {
          // One that was cleared meanwhile was about something that is not there any more.
          if (turn === this.#turn) this.phase = 'refused';
          return undefined;
        }
      } finally {
        clearTimeout(slow);
      }
    }
  }

  /** Gives up waiting. */
  stop(): void {
    this.stopped = true;
    this.#finish(false);
  }

  clear(): undefined {
    this.#turn += 1;
    this.#finish(false);
    this.slow = false;
    this.phase = 'idle';
    this.refusal = undefined;
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

const isNo = (status: number): boolean => status >= 400 && status < 500;

/** Remembers the wish that was sent last, and no other. */
function lastKey(): Keys {
  let last: { about: string; key: string } | undefined;
  return {
    of(about) {
      if (last?.about !== about) last = { about, key: newKey() };
      return last.key;
    },
    settle() {
      last = undefined;
    },
  };
}
