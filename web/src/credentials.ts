/** What the mall takes in its forms, so that most mistakes are told before anything is sent. */
export const PASSWORD_MIN = 8;
export const PASSWORD_MAX = 128;

/**
 * Whether a product's picture may lie there: nothing, a path of this shop, or an https address. The
 * pages' policy (`img-src`) lets exactly these be shown, and browsers ask for none with a name and a
 * password in it; `mall/src/product/command.rs` says the same.
 */
export function isPicture(address: string): boolean {
  if (/[\s\\\p{Cc}]/u.test(address)) return false;
  return /^($|\/(?!\/)|https:\/\/[^/?#@]+([/?#]|$))/.test(address);
}

export function isUsername(text: string): boolean {
  const name = text.trim().toLowerCase();
  return /^[a-z0-9._+-]{1,64}@[a-z0-9.-]{1,190}$/.test(name) && !name.endsWith('.html');
}
