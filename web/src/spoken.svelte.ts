/** What a screen reader is told: politely what changed by itself, and where a navigation led. */
let text = $state('');

export const spoken = (): string => text;

export function announce(news: string): void {
  // The same words twice are news twice: a region speaks only when it changes.
  text = text === news ? `${news}\u00a0` : news;
}

/** Where the focus was on something that is gone. */
export function focusIfLost(): void {
  if (document.activeElement === document.body) focusHeading();
}

export function focusHeading(): void {
  document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
}
