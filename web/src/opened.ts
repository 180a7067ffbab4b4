/**
 * The administrator's form as it stands open, kept with the drafts: after a reload, or a session that
 * ended, it opens again by itself for whoever had it open, and for nobody else.
 */
import type { Product } from './api/wire';
import { draftOf, keepDraft } from './drafts';

const KEPT_AS = 'opened';

export interface Opened {
  /** As it was when the form was opened; absent for a new product. */
  product?: Product | undefined;
  /** The name of the field that had the focus last. */
  field?: string | undefined;
}

export const opened = (): Opened | undefined => draftOf<Opened>(KEPT_AS);

/** undefined once the form was closed. */
export const keepOpened = (it: Opened | undefined): void => keepDraft(KEPT_AS, it);
