/** What is wrong with what was written into a field, in words; undefined where nothing is. */
import { currentLocale } from './locale.svelte';
import { charsOf, hasControls } from './limits';
import { wholeOf } from './numbers';
import { fieldWords } from './texts/fields';

/**
 * A text of more than `max` characters, which is said rather than cut off (the end may be what
 * matters), or one with a control character, which nobody sees who pasted it.
 */
export function badText(text: string, max: number): string | undefined {
  if (hasControls(text)) return fieldWords.controls;
  const chars = charsOf(text);
  return chars > max ? fieldWords.tooLong(max, chars) : undefined;
}

/** What is no whole number of 0 to `max`. Nothing is no mistake before it was `tried` to be sent. */
export function notWhole(text: string, max: number, tried: boolean): string | undefined {
  if (wholeOf(text, 0, max) !== undefined || (!text.trim() && !tried)) return undefined;
  const figure = new Intl.NumberFormat(currentLocale());
  return fieldWords.wholeNumber(figure.format(0), figure.format(max));
}
