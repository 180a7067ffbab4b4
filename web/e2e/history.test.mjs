// Back shows the page and not its data by what the app does alone, whatever a cache on the way has made of the answers.
import assert from 'node:assert/strict';
import { createServer, request as ask } from 'node:http';
import { once } from 'node:events';
import { after, before } from 'node:test';
import { ADMINISTRATOR, CUSTOMER, LIVE, shop } from './start.mjs';

const here = shop();
const { visitor } = here;
let careless;

/** The mall behind a server that says of data that it may be kept, and of nothing that it varies. */
before(async () => {
  careless = createServer((request, response) => {
    const { hostname, port } = new URL(here.mall.url);
    const { method, url: path, headers } = request;
    const passed = ask({ hostname, port, method, path, headers }, (answer) => {
      const kept = { ...answer.headers };
      delete kept.vary;
      if (kept['content-type']?.includes('json')) kept['cache-control'] = 'max-age=600';
      response.writeHead(answer.statusCode, kept);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    request.pipe(passed);
  }).listen(0, '127.0.0.1');
  await once(careless, 'listening');
});
after(() => {
  careless?.closeAllConnections();
  careless?.close();
});

const url = () => `http://127.0.0.1:${careless.address().port}`;
const isData = (path) => (it) => decodeURIComponent(new URL(it.url()).pathname) === path && it.request().resourceType() === 'fetch' && it.ok();

/** Leaves by a link to another site, and goes back. */
async function leaveAndComeBack(page) {
  await page.evaluate((elsewhere) => {
    const link = Object.assign(document.createElement('a'), { href: elsewhere, textContent: 'elsewhere' });
    document.body.append(link);
    link.click();
  }, here.mall.url.replace('127.0.0.1', 'localhost'));
  await page.waitForURL('http://localhost:*/**');
  await page.goBack();
}

async function expectPage(page, heading) {
  await page.locator('.bar').waitFor(LIVE);
  await page.locator('h1', { hasText: heading }).waitFor(LIVE);
  assert.equal(await page.evaluate(() => document.contentType), 'text/html');
}

for (const [what, how] of [['a link', (page) => leaveAndComeBack(page)], ['an address', async (page) => {
  await page.goto('about:blank');
  await page.goBack();
}]]) {
  visitor(`Back after leaving by ${what} shows the product whose data the app has asked for`, {}, async ({ page }) => {
    const data = page.waitForResponse(isData('/products/3'));
    await page.goto(`${url()}/products/3`);
    await (await data).finished();
    await expectPage(page, 'NOTEBOOK');
    await how(page);
    await expectPage(page, 'NOTEBOOK');
    // And one that the app alone has drawn.
    await page.goto(`${url()}/`);
    await page.click('.card a[href="/products/2"]');
    await expectPage(page, 'MASK');
    await how(page);
    await expectPage(page, 'MASK');
  });
}

visitor('Back shows my page, and the product that an administrator has had open', {}, async ({ page }) => {
  await page.goto(`${url()}/signin`);
  await page.fill('#username', CUSTOMER[0]);
  await page.fill('#password', CUSTOMER[1]);
  const own = `/mypages/${CUSTOMER[0]}`;
  const mine = page.waitForResponse(isData(own));
  await page.press('#password', 'Enter');
  await (await mine).finished();
  await page.goto(`${url()}${own}`);
  await expectPage(page, '유엔진');
  await leaveAndComeBack(page);
  await expectPage(page, '유엔진');
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).click();
  await page.fill('#username', ADMINISTRATOR[0]);
  await page.fill('#password', ADMINISTRATOR[1]);
  await page.press('#password', 'Enter');
  const read = page.waitForResponse(isData('/products/5'));
  await page.locator('.card[data-product-id="5"]').getByRole('button').click();
  await (await read).finished();
  await page.keyboard.press('Escape');
  await page.click('.card a[href="/products/5"]');
  await expectPage(page, 'CLOCK');
  await leaveAndComeBack(page);
  await expectPage(page, 'CLOCK');
});
