/** Where the focus goes when what had it is gone, or when something has to be put right. */
import { tick } from 'svelte';

/** The first field that is wrong in `within`, else what is said about it, else what `otherwise` selects. */
export async function focusWrong(within: Element | undefined, otherwise = '.told'): Promise<void> {
  await tick();
  const found = ['[aria-invalid="true"]', '.told', otherwise].map((it) => within?.querySelector<HTMLElement>(it));
  const first = found.find(Boolean);
  // Where it has the focus already, what is wrong is read once more only on coming back to it.
  if (first === document.activeElement) first?.blur();
  first?.focus();
}
