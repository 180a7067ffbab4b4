/**
 * Whether a stream is still alive: a server says so every {@link BEAT_MS}, and what is silent for
 * two beats, from its opening on, is dead, whatever the browser believes.
 */
export const BEAT_MS = 15_000;
/** Two beats, and what the network may take. */
export const SILENCE_MS_MAX = 2 * BEAT_MS + 4_000;

export class Heartbeat {
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #dead: () => void;

  /** `dead` is called once, when the stream has been silent for too long. */
  constructor(dead: () => void) {
    this.#dead = dead;
  }

  /** The stream is being opened, or something came of it. */
  heard(): void {
    this.stop();
    this.#timer = setTimeout(this.#dead, SILENCE_MS_MAX);
  }

  /** Nothing more is expected. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
