/** What the mall takes at sign-up, so that most mistakes are told before anything is sent. */
export const PASSWORD_MIN = 8;
export const PASSWORD_MAX = 128;

export function isUsername(text: string): boolean {
  const name = text.trim().toLowerCase();
  return /^[a-z0-9._+-]{1,64}@[a-z0-9.-]{1,190}$/.test(name) && !name.endsWith('.html');
}
