/** Where the focus goes when what had it is gone, or when something has to be put right. */
import { tick } from 'svelte';

/** The first field that is wrong in `within`, else what is said about it, else what `otherwise` selects. */
export async function focusWrong(within: Element | undefined, otherwise = '.told'): Promise<void> {
  await tick();
  const found = ['[aria-invalid="true"]', '.told', otherwise].map((it) => within?.querySelector<HTMLElement>(it));
  found.find(Boolean)?.focus();
}
