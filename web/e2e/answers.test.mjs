// Whose answer it is: what was asked for one person is never shown to who has come instead.
import assert from 'node:assert/strict';
import { CUSTOMER, LIVE, order, row, SECOND_CUSTOMER, shop, signIn } from './start.mjs';

const { visitor } = shop();
const FIRST = '유엔진';
const LATE_MS = 2_000;

/** Lets the mall answer at once and the page hear of it when `release` is called. */
async function held(page, path, which = () => true) {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  let asked;
  const sent = new Promise((resolve) => (asked = resolve));
  await page.route(path, async (route) => {
    if (!which(route.request())) return route.fallback();
    const response = await route.fetch();
    asked();
    await gate;
    await route.fulfill({ response }).catch(() => undefined);
  });
  return { release, sent };
}

async function signInAs(page, [username, password]) {
  await page.fill('#username', username);
  await page.fill('#password', password);
  await page.press('#password', 'Enter');
}

async function expectSecond(page) {
  await page.locator('h1', { hasText: '여울' }).waitFor(LIVE);
  await page.getByText('아직 주문이 없어요').waitFor(LIVE);
  assert.equal(await page.locator('table.orders tbody tr').count(), 0);
  assert.equal(await page.locator('.bar .count').count(), 0);
}

const isPost = (request) => request.method() === 'POST';
const isFetch = (request) => request.resourceType() === 'fetch';

visitor('an order that is answered late is nothing of who has signed in in another tab', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction((name) => document.querySelector('#customerName')?.value === name, FIRST);
  const { release, sent } = await held(page, '**/orders', isPost);
  await page.click('form .primary');
  await sent;
  const other = await context.newPage();
  await signIn(other, ...SECOND_CUSTOMER);
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '여울', undefined, LIVE);
  release();
  await page.waitForTimeout(LATE_MS);
  assert.equal(await page.locator('.steps').count(), 0, 'no time line of an order of somebody else');
  assert.equal(await page.getByText('보내지 않았어요').count(), 0, 'it was sent');
  await page.click('.bar a[href="/mypage"]');
  await expectSecond(page);
  await page.reload();
  await expectSecond(page);
});

visitor('an order that is answered late is nothing of who has signed in in the same tab', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  // A picture that is on its way when its reader signs out is refused, as anything of an ended sign-in.
  await page.waitForFunction(() => document.images.length > 0 && [...document.images].every((it) => it.complete));
  await page.waitForFunction((name) => document.querySelector('#customerName')?.value === name, FIRST);
  const { release, sent } = await held(page, '**/orders', isPost);
  await page.click('form .primary');
  await sent;
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.click('.bar a[href="/signin"]');
  await signInAs(page, SECOND_CUSTOMER);
  await page.click('.bar a[href="/mypage"]');
  await expectSecond(page);
  release();
  await page.waitForTimeout(LATE_MS);
  await expectSecond(page);
});

visitor('an answer goes to the same person who has signed in again meanwhile', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction((name) => document.querySelector('#customerName')?.value === name, FIRST);
  const { release, sent } = await held(page, '**/orders', isPost);
  await page.click('form .primary');
  await sent;
  const other = await context.newPage();
  await signIn(other, ...CUSTOMER);
  release();
  await page.locator('.steps[data-order-id]').waitFor(LIVE);
});

visitor('a page that was printed for somebody else goes as soon as it is known who is here', { expected: ['404'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 1, 1);
  const other = await context.newPage();
  await other.goto('/signin');
  const { release, sent } = await held(page, '**/mypage', (it) => it.resourceType() === 'document');
  const loaded = page.goto('/mypage');
  await sent;
  await signInAs(other, SECOND_CUSTOMER);
  await other.waitForURL((url) => url.pathname === '/');
  release();
  await loaded;
  await page.locator('h1', { hasText: '여울' }).waitFor(LIVE);
  assert.equal(await row(page, id).count(), 0);
  await page.waitForTimeout(LATE_MS);
  await expectSecond(page);
});

const BUSY = { status: 503, headers: { 'Retry-After': '2', 'Proxy-Status': 'yeoul; error=http_request_denied' }, body: '{}' };
const DOWN = { status: 503, headers: { 'Retry-After': '2', 'Proxy-Status': 'yeoul; error=connection_refused' }, body: '{}' };

for (const [how, locale, answer, said] of [
  ['busy', 'ko', (route) => route.fulfill(BUSY), '지금 찾는 분이 많아요'],
  ['busy', 'en', (route) => route.fulfill(BUSY), 'The shop is busy'],
  ['down', 'ko', (route) => route.fulfill(DOWN), '가게 한쪽이 잠시 멈춰'],
  ['down', 'en', (route) => route.fulfill(DOWN), 'has stopped for the moment'],
  ['offline', 'ko', (route) => route.abort('internetdisconnected'), '인터넷 연결이 끊겼어요'],
  ['offline', 'en', (route) => route.abort('internetdisconnected'), 'You are offline'],
]) {
  visitor(`a page that was printed for somebody else is not shown while it cannot be asked who is here: ${how} ${locale}`, { locale, expected: ['503', 'ERR_'] }, async ({ page, context }) => {
    await signIn(page, ...CUSTOMER);
    await order(page, 1, 1);
    const other = await context.newPage();
    await other.goto('/signin');
    const { release, sent } = await held(page, '**/mypage', (it) => it.resourceType() === 'document');
    await page.addInitScript(() => {
      window.seen = new Set();
      const look = () => {
        for (const tr of document.querySelectorAll('tr[data-order-id]')) if (tr.checkVisibility()) window.seen.add(tr.dataset.orderId);
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    if (how === 'offline') await page.addInitScript(() => Object.defineProperty(navigator, 'onLine', { get: () => window.online ?? false }));
    const loaded = page.goto('/mypage');
    await sent;
    await signInAs(other, SECOND_CUSTOMER);
    await other.waitForURL((url) => url.pathname === '/');
    let away = true;
    await page.route('**/oauth/me', (route) => (away ? answer(route) : route.fallback()));
    release();
    await loaded;
    await page.getByText(said).waitFor(LIVE);
    assert.equal(await page.getByText(FIRST).count(), 0, 'nor a name');
    await page.waitForTimeout(LATE_MS);
    assert.equal(await page.locator('tr[data-order-id]').count(), 0);
    assert.deepEqual(await page.evaluate(() => [...window.seen]), [], 'not for a frame');
    away = false;
    await page.evaluate(() => (window.online = true));
    await page.locator('h1', { hasText: '여울' }).waitFor({ timeout: 20_000 });
    assert.equal(await page.locator('tr[data-order-id]').count(), 0);
  });
}

visitor('one’s own printed page is shown though it cannot be asked who is here', { expected: ['503'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 1, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  await page.route('**/oauth/me', (route) => route.fulfill(BUSY));
  await page.goto('/mypage');
  await page.locator('#app h1', { hasText: FIRST }).waitFor(LIVE);
  assert.equal(await row(page, id).count(), 1);
});

for (const how of ['late', 'refused']) {
  visitor(`a read of my page that comes ${how} is nothing of who has come instead`, { expected: ['503'] }, async ({ page, context }) => {
    await signIn(page, ...CUSTOMER);
    await order(page, 1, 1);
    let release;
    const gate = new Promise((resolve) => (release = resolve));
    await page.route(/\/mypages\/1(%40|@)uengine\.org$/, async (route) => {
      if (!isFetch(route.request())) return route.fallback();
      const response = await route.fetch();
      await gate;
      await route.fulfill(how === 'late' ? { response } : { status: 503, body: '{}' }).catch(() => undefined);
    });
    await page.goto('/');
    await page.waitForTimeout(500);
    const other = await context.newPage();
    await signIn(other, ...SECOND_CUSTOMER);
    await page.click('.bar a[href="/mypage"]');
    await expectSecond(page);
    release();
    await page.waitForTimeout(LATE_MS);
    await expectSecond(page);
    assert.equal(await page.locator('.told', { hasText: '다시 시도' }).count(), 0);
  });
}
