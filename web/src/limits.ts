/** How long the mall lets a text be, counted as it counts; pure. */

export const NAME_CHARS_MAX = 200;
export const PICTURE_CHARS_MAX = 1_000;
export const NICKNAME_CHARS_MAX = 100;
export const ADDRESS_CHARS_MAX = 500;

/** In won, and in pieces: `mall/src/product/command.rs` has the same. */
export const PRICE_MAX = 1_000_000_000;
export const STOCK_MAX = 1_000_000_000_000;

/** Whether what is sent of `text` has a character that is drawn nowhere: no field of the mall takes one. */
export const hasControls = (text: string): boolean => /\p{Cc}/u.test(text.trim());

/** Characters of what is sent of `text`: it is trimmed, and composed (NFC) at the mall's door. */
export const charsOf = (text: string): number => [...text.trim().normalize('NFC')].length;
