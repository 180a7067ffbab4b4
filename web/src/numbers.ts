/**
 * Whole numbers as people write them; pure. What is not written in digits is wrong: it is never
 * read as some other number, neither by dropping what does not fit nor by another notation.
 */

/** The number that `text` writes with the digits 0–9 alone, if it is one of `min` to `max`; blanks around it do not count. */
export function wholeOf(text: string, min: number, max: number): number | undefined {
  const digits = text.trim();
  const number = Number(digits);
  return /^\d+$/.test(digits) && number >= min && number <= max ? number : undefined;
}
