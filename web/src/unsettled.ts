/**
 * The keys of wishes whose answer never came, kept in this tab over a reload and over a session that
 * ends: who asks for the same once more, not knowing what became of it, still asks for one thing.
 */
import type { Keys } from './attempt.svelte';
import { readJson, tab } from './kept';
import { newKey } from './keys';
import { onLeave, signInMark } from './session.svelte';

const KEPT_AS = 'unsettled';
/** Wishes without an answer at once; the oldest goes first. */
const WISHES_MAX = 10;
/** Later than this it is another wish: what became of the first one has been seen by then. */
const KEPT_MS_MAX = 10 * 60_000;

interface Wish {
  about: string;
  key: string;
  /** When it was last sent, in milliseconds. */
  at: number;
}

onLeave(() => {
  if (signInMark() === null) put([]);
});

/** Says itself what it is about: one person's wish is never another's. */
export const unsettled: Keys = {
  of(about) {
    const key = known((it) => it === about)?.key ?? newKey();
    put([...others(about), { about, key, at: Date.now() }]);
    return key;
  },
  settle(about) {
    put(others(about));
  },
};

/** What was sent from this tab, such as `is` says, and has no answer. */
export const known = (is: (about: string) => boolean): Wish | undefined =>
  wishes().find((it) => is(it.about) && Date.now() - it.at < KEPT_MS_MAX);

const wishes = (): Wish[] => readJson<Wish[]>(tab, KEPT_AS) ?? [];
const others = (about: string): Wish[] => wishes().filter((it) => it.about !== about);

function put(kept: Wish[]): void {
  tab.set(KEPT_AS, kept.length > 0 ? JSON.stringify(kept.slice(-WISHES_MAX)) : null);
}
