/**
 * Whether a stream is still alive: a server says so every {@link BEAT_MS}, and what is silent for
 * two beats is dead, whatever the browser believes. A server that has never said so is not waited
 * for.
 */
export const BEAT_MS = 15_000;
/** Two beats, and what the network may take. */
export const SILENCE_MS_MAX = 2 * BEAT_MS + 4_000;

export class Heartbeat {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #beats = false;
  readonly #dead: () => void;

  /** `dead` is called once, when the stream has been silent for too long. */
  constructor(dead: () => void) {
    this.#dead = dead;
  }

  /** The stream said that it is alive. */
  beat(): void {
    this.#beats = true;
    this.heard();
  }

  /** Anything else came. */
  heard(): void {
    if (!this.#beats) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#dead, SILENCE_MS_MAX);
  }

  /** Nothing more is expected. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#beats = false;
  }
}
