/** What is typed into a product's form, beside what others do to the product meanwhile; pure. */
import type { Product, StockPolicy } from './api/wire';

/** A product as the form has it. */
export interface Written {
  name: string;
  price: string;
  stock: string;
  imageUrl: string;
  stockPolicy: StockPolicy;
}

export type Member = keyof Written;

/** A member that somebody else has changed, as it is now and as the form has it. */
export interface Changed {
  member: Member;
  theirs: string;
  /** Absent where nothing was typed there. */
  yours: string | undefined;
}

export const written = (product: Product | undefined): Written => ({
  name: product?.name ?? '',
  price: String(product?.price ?? ''),
  stock: String(product?.stock ?? ''),
  imageUrl: product?.imageUrl ?? '',
  stockPolicy: product?.stockPolicy ?? 'cancel',
});

/** The members of `typed` that say something else than `base`. */
export const edited = (typed: Written, base: Written): Partial<Written> =>
  pick(typed, (it) => typed[it] !== base[it]);

/** The members of `base` that something else was typed over. */
export const typedOver = (typed: Written, base: Written): Partial<Written> =>
  pick(base, (it) => typed[it] !== base[it]);

/**
 * What has changed from `base` to `now` and is not what was typed. Stock moves with every order: it
 * counts only where it was typed over.
 */
export function changedByOthers(base: Written, now: Written, typed: Written): Changed[] {
  const moved = members(base).filter((it) => now[it] !== base[it] && now[it] !== typed[it]);
  return moved
    .filter((it) => it !== 'stock' || typed.stock !== base.stock)
    .map((it) => ({ member: it, theirs: now[it], yours: typed[it] === base[it] ? undefined : typed[it] }));
}

export const members = (of: Partial<Written> = {}): Member[] => Object.keys(of) as Member[];

const pick = (from: Written, which: (member: Member) => boolean): Partial<Written> =>
  Object.fromEntries(members(from).filter(which).map((it) => [it, from[it]]));
