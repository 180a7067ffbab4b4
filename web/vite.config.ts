import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The mall as it is started by `yeoul mall`; only `npm run dev` looks here.
const MALL = 'http://127.0.0.1:8088';

// What is said about trouble, and what forms are made of: a file each, rather than one for each part
// that screens share, so that a screen waits for no more than one answer after its own.
const TOLD = /src\/(api\/changes|parts\/Told\.|texts\/trouble\.|attempt|cancellation|dates|focus|shown|theirs)/;
// What keeps my page live is one file, which whoever is signed in loads.
const LIVE = /src\/(stream|own|orders|heartbeat|texts\/states\.)/;
const FORMS = /src\/(parts\/Field\.|texts\/fields\.|credentials|drafts|limits|mistakes|numbers)/;
// Loaded when they are needed, not with the first page; `npm run build` counts the rest.
const ON_DEMAND =
  /src\/(api\/changes|screens\/(MyPage|NotFound|Order|Product|SignIn|SignUp)\.|parts\/(Field|CancelQuestion|OrderLine|ProductDialog|ProductForm|Stepper|Timeline|Told|Unreachable)\.|texts\/(en|fields|manage|mine|order|sign|states|trouble)\.|attempt|cancellation|credentials|dates|drafts|edits|focus|limits|mistakes|numbers|opened|options|prices|shown|theirs|stream|own\.|orders|heartbeat)/;

// Paths that are an API and a page at once go to the mall unless a browser navigates to them.
const page = (request: { headers: { accept?: string | undefined } }): string | undefined =>
  request.headers.accept?.includes('text/html') ? '/index.html' : undefined;

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    modulePreload: false,
    // Nothing inline: the page's policy allows only files of this origin.
    assetsInlineLimit: 0,
    // Slower than the bundler's own and 2.5 % smaller: 600 bytes of a budget of 25,000.
    minify: 'terser',
    terserOptions: { module: true, compress: { passes: 3, ecma: 2020, unsafe_arrows: true, keep_fargs: false } },
    rolldownOptions: {
      output: {
        // What every page needs is one file: it packs better, and nothing has to be found first.
        codeSplitting: {
          groups: [
            // A group takes along what its files need: first come first.
            { name: 'app', test: (id) => !ON_DEMAND.test(id), priority: 3 },
            { name: 'live', test: LIVE, priority: 3 },
            { name: 'told', test: TOLD, priority: 2 },
            { name: 'forms', test: FORMS, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      '/oauth': MALL,
      '/goods': MALL,
      '/orders': MALL,
      '/mypages': { target: MALL, bypass: page },
      '/products': { target: MALL, bypass: page },
    },
  },
  test: { include: ['tests/**/*.test.ts'] },
});
