// The shop while a part of it stands still, while nobody is connected, and while it is deployed anew.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, order, picture, row, SECOND_CUSTOMER, shop, signIn, visit } from './start.mjs';

const here = shop({ faults: true });
const { visitor, without } = here;
const STOPPED = ['503', '502', '504', 'ERR_'];
const WATCHED_MS = 5_000;

/** How often each picture's address is asked for. */
function pictures(page) {
  const asked = new Map();
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (request.resourceType() === 'image') asked.set(pathname, (asked.get(pathname) ?? 0) + 1);
  });
  return asked;
}

visitor('a picture that fails is asked for once and drawn instead', { expected: STOPPED }, async ({ page }) => {
  // Ordered elsewhere: this browser has never seen a picture.
  const other = await visit(here.browser, here.mall, {});
  await signIn(other.page, ...CUSTOMER);
  for (const product of [2, 3]) {
    await order(other.page, product, 1);
    await other.page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  }
  await other.end();
  await without('product', async () => {
    const asked = pictures(page);
    await signIn(page, ...CUSTOMER);
    await page.goto('/mypage');
    await page.locator('#app tr .stand-in').nth(1).waitFor(LIVE);
    await page.waitForTimeout(WATCHED_MS);
    assert.ok(asked.size > 0);
    for (const [address, times] of asked) assert.ok(times <= 2, `${address} was asked for ${times} times`);
    assert.equal(await page.locator('#app tr img').count(), 0);
    await picture(page, 'my-page-no-pictures');
  });
});

visitor('a shop without products says that a part of it is down', { expected: STOPPED }, async ({ page }) => {
  await without('product', async () => {
    await page.goto('/');
    await page.getByRole('status').getByText('가게 한쪽이 잠시 멈춰').waitFor(LIVE);
    await picture(page, 'products-down');
  });
  await page.locator('.card[data-product-id]').nth(4).waitFor({ timeout: 20_000 });
  assert.equal(await page.getByText('멈춰 있어요').count(), 0);
});

visitor('the last known products show with their time, down and offline', { expected: STOPPED }, async ({ page, context }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await without('product', async () => {
    await page.reload();
    await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
    await page.getByText('가게 한쪽이 잠시 멈춰').waitFor(LIVE);
    await page.locator('.unreachable time').waitFor(LIVE);
    await picture(page, 'products-known');
    await page.click('.card a[href="/products/3"]');
    await page.locator('h1', { hasText: 'NOTEBOOK' }).waitFor(LIVE);
    await page.locator('.unreachable time').waitFor(LIVE);
  });
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await page.locator('.unreachable').waitFor({ state: 'detached', timeout: 20_000 });
  await page.mouse.move(5, 5);
  await page.waitForLoadState('networkidle');
  await context.setOffline(true);
  await page.getByText('인터넷 연결이 끊겼어요').waitFor(LIVE);
  assert.equal(await page.locator('.card[data-product-id]').count(), 5);
  await picture(page, 'products-offline', { dark: false });
  await context.setOffline(false);
  await page.locator('.unreachable').waitFor({ state: 'detached', timeout: 20_000 });
});

visitor('offline is said before its words were ever loaded, and what was asked for comes with the network', { expected: STOPPED }, async ({ page, context }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  // Nothing of these was loaded ahead.
  await page.route(/Unreachable-|SignIn-/, (route) => route.abort('internetdisconnected'));
  await context.setOffline(true);
  await page.evaluate(() => document.querySelector('a[href="/signin"]').click());
  await page.getByRole('status').getByText('인터넷 연결이 끊겼어요').waitFor(LIVE);
  await page.unroute(/Unreachable-|SignIn-/);
  await context.setOffline(false);
  await page.locator('#password').waitFor(LIVE);
});

visitor('a busy shop says so and not that it is down', { expected: ['429'] }, async ({ page }) => {
  await page.route('**/products?*', (route) =>
    route.fulfill({
      status: 429,
      headers: { 'Retry-After': '20', 'Proxy-Status': 'yeoul; error=http_request_denied' },
      contentType: 'application/problem+json',
      body: '{"status":429}',
    }),
  );
  await page.goto('/');
  await page.getByText('지금 찾는 분이 많아요').waitFor(LIVE);
});

visitor('what one has just ordered stays while my page is stopped', { expected: STOPPED }, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  const before = await order(page, 2, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  let id;
  await without('mypage', async () => {
    id = await order(page, 2, 2);
    await page.waitForTimeout(WATCHED_MS);
    assert.equal(await page.locator('.steps').getAttribute('data-order-id'), id);
    await page.click('section a[href="/mypage"]');
    await row(page, id).waitFor(LIVE);
    await page.waitForTimeout(WATCHED_MS);
    assert.equal(await row(page, id).count(), 1, 'after a while');
    assert.equal(await page.locator('.orders-head .mark').innerText(), '다시 연결하는 중', 'what stands still is not live');
    await page.reload();
    await row(page, id).waitFor(LIVE);
    await page.waitForTimeout(WATCHED_MS);
    assert.equal(await row(page, id).count(), 1, 'after a reload');
    await row(page, id).getByRole('button', { name: '취소' }).click();
    await page.getByRole('button', { name: '주문 취소' }).click();
    await row(page, id).and(page.locator('[data-state="OrderCancelled"]')).waitFor(LIVE);
    await page.reload();
    await row(page, id).and(page.locator('[data-state="OrderCancelled"]')).waitFor(LIVE);
    await picture(page, 'my-page-stopped');
  });
  await row(page, id).and(page.locator('[data-state="OrderCancelled"]')).waitFor({ timeout: 20_000 });
  await row(page, before).waitFor({ timeout: 20_000 });
});

visitor('a stream that was open before my page stopped is not called live, and every tab knows the order', { expected: STOPPED }, async ({ page, context }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  const stream = page.waitForResponse(/\/mypages\/.*\/events/);
  await page.goto('/products/2');
  await stream;
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await without('mypage', async () => {
    await page.click('form .primary');
    const line = page.locator('.steps[data-order-id]');
    await line.waitFor(LIVE);
    const id = await line.getAttribute('data-order-id');
    await page.click('section a[href="/mypage"]');
    await row(page, id).waitFor(LIVE);
    await page.locator('.orders-head .mark').getByText('다시 연결하는 중').waitFor(LIVE);
    await page.locator('.told time').waitFor(LIVE);
    const other = await context.newPage();
    await other.goto('/mypage');
    await row(other, id).waitFor(LIVE);
  });
  await page.locator('.orders-head .mark.live').waitFor({ timeout: 20_000 });
});

for (const locale of ['ko', 'en']) {
  visitor(`what one orders and cancels in one tab shows in those that were open before, while my page is stopped: ${locale}`, { locale, expected: STOPPED }, async ({ page, context }) => {
    await signIn(page, ...SECOND_CUSTOMER);
    await page.goto('/mypage');
    await page.locator('.orders-head .mark.live').waitFor(LIVE);
    const other = await context.newPage();
    await without('mypage', async () => {
      const id = await order(other, 2, 1);
      await row(page, id).waitFor(LIVE);
      await page.locator('.orders-head .mark.waiting').waitFor(LIVE);
      await other.goto('/mypage');
      await row(other, id).locator('.c-action button').click();
      await other.locator('.answer .danger').click();
      await row(page, id).and(page.locator('[data-state="OrderCancelled"]')).waitFor(LIVE);
    });
    await page.locator('.orders-head .mark.live').waitFor({ timeout: 20_000 });
  });
}

visitor('a deploy while a tab is open loads the page anew once', { expected: ['404'] }, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  let gone = true;
  await page.route('**/assets/Product-*.js', (route) =>
    gone ? route.fulfill({ status: 404, headers: { 'Cache-Control': 'no-store' } }) : route.continue(),
  );
  page.on('request', (request) => (gone &&= !request.isNavigationRequest()));
  await page.evaluate(() => (window.old = true));
  await page.evaluate(() => document.querySelector('.card a[href="/products/2"]').click());
  await page.locator('h1', { hasText: 'MASK' }).waitFor(LIVE);
  assert.equal(await page.evaluate(() => window.old), undefined);
});

visitor('a file that stays away is told in words after one reload', { expected: ['404'] }, async ({ page }) => {
  let tries = 0;
  await page.route('**/assets/Product-*.js', (route) => {
    tries += 1;
    return route.fulfill({ status: 404, headers: { 'Cache-Control': 'no-store' } });
  });
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  let loads = 0;
  page.on('request', (request) => (loads += request.isNavigationRequest() ? 1 : 0));
  await page.evaluate(() => document.querySelector('.card a[href="/products/2"]').click());
  await page.getByText('가게가 새로 바뀌었는데').waitFor(LIVE);
  const soFar = tries;
  await page.waitForTimeout(WATCHED_MS);
  assert.equal(loads, 1);
  assert.equal(tries, soFar, 'it is not asked for again by itself');
  await page.getByRole('button', { name: '다시 시도' }).waitFor();
  await picture(page, 'outdated', { dark: false });
});

visitor('an administrator’s form whose file stays away is told in words where it was asked for', { expected: ['404'] }, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  await page.route('**/assets/ProductForm-*.js', (route) => route.fulfill({ status: 404, body: '' }));
  let loads = 0;
  page.on('load', () => (loads += 1));
  await page.goto('/');
  await page.waitForFunction(() => sessionStorage.getItem('reloadedAt') !== null);
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await page.getByRole('button', { name: '상품 등록' }).click();
  await page.getByRole('alert').getByText('가게가 새로 바뀌었는데').waitFor(LIVE);
  assert.ok(loads <= 2, `${loads} loads`);
  await page.unroute('**/assets/ProductForm-*.js');
  await page.getByRole('button', { name: '다시 시도' }).click();
  await page.locator('dialog').waitFor(LIVE);
});

visitor('a stream that stops saying that it is alive is opened anew from where it was', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.clock.install();
  await page.addInitScript(() => {
    window.streams = [];
    window.EventSource = class extends EventTarget {
      static CLOSED = 2;
      constructor(url) {
        super();
        Object.assign(this, { url, readyState: 1 });
        window.streams.push(this);
        queueMicrotask(() => this.onopen?.());
      }
      close() {
        this.readyState = 2;
      }
    };
  });
  await page.goto('/mypage');
  await page.locator('.orders-head .mark.live').waitFor(LIVE);
  const open = () => page.evaluate(() => window.streams.map((it) => it.readyState));
  await page.clock.fastForward(33_000);
  assert.deepEqual(await open(), [1]);
  await page.clock.fastForward(2_000);
  assert.deepEqual(await open(), [2, 1], 'silent from its opening on');
  const say = (type, more = {}) => page.evaluate(([type, more]) => window.streams.at(-1).dispatchEvent(new MessageEvent(type, more)), [type, more]);
  await say('alive');
  await page.clock.fastForward(20_000);
  await say('customer', { data: JSON.stringify({ nickname: '유엔진', address: '서울시', mileage: 77 }), lastEventId: 'there' });
  await page.getByText('77원').waitFor(LIVE);
  await page.clock.fastForward(33_000);
  assert.deepEqual(await open(), [2, 1], 'anything is a sign of life');
  await page.clock.fastForward(2_000);
  assert.deepEqual(await open(), [2, 2, 1]);
  assert.match(await page.evaluate(() => window.streams.at(-1).url), /after=there$/);
});
