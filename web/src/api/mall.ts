/** The mall's calls that the first screens need, one function each; `changes.ts` has the others. */
import { call, type Answer } from './http';
import type { MyPage, Page, Product, User } from './wire';

/** The most one list answers. */
const PAGE_SIZE = 100;
/** The most products the list shows: pages of {@link PAGE_SIZE}. */
const PAGES_MAX = 10;

export const mall = {
  products: async (): Promise<Product[]> => {
    const all: Product[] = [];
    for (let page = 0, pages = 1; page < Math.min(pages, PAGES_MAX); page += 1) {
      const path = `/products?page=${page}&size=${PAGE_SIZE}`;
      const { body } = await call<Page<Product>>('GET', path, { open: true });
      all.push(...(body._embedded.products ?? []));
      pages = body.page.totalPages;
    }
    return all;
  },
  product: async (id: number): Promise<Product> =>
    (await call<Product>('GET', `/products/${id}`, { open: true })).body,

  /** The owner's page, waiting for the write at `position` where one is given. */
  myPage: (owner: string, position?: string | null, page = 0, size = 0): Promise<Answer<MyPage>> =>
    call('GET', `${ownPage(owner)}${page || size ? `?page=${page}` : ''}${size ? `&size=${size}` : ''}`, {
      headers: position ? { 'Yeoul-Position': position } : {},
    }),

  signIn: (username: string, password: string): Promise<Answer<void>> =>
    call('POST', '/oauth/session', { form: { username, password }, bare: true }),
  signOut: (): Promise<Answer<void>> => call('DELETE', '/oauth/session', { bare: true }),
  me: async (): Promise<User> => (await call<User>('GET', '/oauth/me', { open: true })).body,
};

export const eventsOf = (owner: string, after: string): string =>
  `${ownPage(owner)}/events?after=${encodeURIComponent(after)}`;

const ownPage = (owner: string): string => `/mypages/${encodeURIComponent(owner)}`;
