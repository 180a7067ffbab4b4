/**
 * What was typed and not sent yet, kept in this tab over a reload and over a session that ends,
 * for whoever typed it and nobody else. Passwords are never kept.
 */
import { readJson, tab } from './kept';
import { currentUser, onLeave, signInMark } from './session.svelte';

const KEPT_AS = 'drafts';
/** Forms that are kept at once; the oldest goes first. */
const FORMS_MAX = 10;

interface Draft {
  form: string;
  /** Username; empty for a visitor. */
  of: string;
  typed: unknown;
}

onLeave(() => {
  // A session that ended by itself ends no sentence.
  if (signInMark() === null) tab.set(KEPT_AS, null);
});

/** What the signed-in user, or a visitor, has typed into `form`. */
export function draftOf<T>(form: string): T | undefined {
  const found = drafts().find((it) => it.form === form);
  return found && (found.of === '' || found.of === currentUser()?.username) ? (found.typed as T) : undefined;
}

/** Keeps what is typed into `form`; undefined once it was sent. */
export function keepDraft(form: string, typed: unknown): void {
  const before = drafts();
  const of = currentUser()?.username ?? before.find((it) => it.form === form)?.of ?? '';
  // Whoever types here now has no use for what somebody else has left.
  const others = before.filter((it) => it.form !== form && (!of || !it.of || it.of === of));
  const kept: Draft[] = typed === undefined ? others : [...others, { form, of, typed }];
  tab.set(KEPT_AS, JSON.stringify(kept.slice(-FORMS_MAX)));
}

const drafts = (): Draft[] => readJson<Draft[]>(tab, KEPT_AS) ?? [];
