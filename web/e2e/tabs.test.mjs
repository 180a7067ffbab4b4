// Who is signed in is one fact over all tabs, and a sign-out is one over all networks.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, picture, SECOND_CUSTOMER, shop, signIn } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;
const MARK = (page) => page.evaluate(() => localStorage.getItem('signedIn'));

/** The requests of one kind that a page sends. */
function sent(page, method, path) {
  const found = [];
  page.on('request', (request) => {
    if (request.method() === method && new URL(request.url()).pathname === path) found.push(request);
  });
  return found;
}

visitor('another tab that signs in as somebody else takes every tab along', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/mypage');
  await page.locator('h1', { hasText: '유엔진' }).waitFor(LIVE);
  const typing = await context.newPage();
  await typing.goto('/products/2');
  await typing.locator('#customerName').waitFor(LIVE);
  await typing.fill('#customerName', '첫째가 쓴 이름');
  await typing.fill('#quantity', '7');
  const orders = sent(typing, 'POST', '/orders');
  const other = await context.newPage();
  await signIn(other, ...SECOND_CUSTOMER);
  await page.locator('h1', { hasNotText: '유엔진' }).waitFor(LIVE);
  await page.getByText('다른 탭에서 다른 분이').waitFor(LIVE);
  await picture(page, 'another-person', { dark: false });
  const second = await other.evaluate(async () => (await fetch('/oauth/me')).json());
  await typing.waitForFunction((name) => document.querySelector('#customerName')?.value === name, second.nickname);
  assert.equal(orders.length, 0);
  await typing.click('form .primary');
  await typing.locator('.steps[data-order-id]').waitFor(LIVE);
  const body = orders[0].postDataJSON();
  assert.deepEqual([body.customerId, body.customerName], ['2@uengine.org', second.nickname]);
});

visitor('what an administrator has open goes with the administrator, in every tab', {}, async ({ page, context }) => {
  await signIn(page, ...ADMINISTRATOR);
  await page.locator('.card[data-product-id="5"]').getByRole('button', { name: '수정' }).click();
  await page.fill('#name', 'HALF A NAME');
  const other = await context.newPage();
  await other.goto('/');
  await other.getByRole('button', { name: '로그아웃' }).click();
  await page.locator('dialog').waitFor({ state: 'detached', ...LIVE });
  await signIn(other, ...CUSTOMER);
  await page.getByRole('button', { name: '로그아웃' }).waitFor(LIVE);
  assert.equal(await page.locator('dialog').count(), 0);
  assert.equal(await page.getByRole('button', { name: '수정' }).count(), 0);
  // And straight from one person to another.
  await signIn(other, ...ADMINISTRATOR);
  await page.locator('.card[data-product-id="5"]').getByRole('button', { name: '수정' }).click();
  await page.locator('dialog').waitFor(LIVE);
  assert.equal(await page.inputValue('#name'), 'CLOCK', 'what was typed left with whoever left');
  await signIn(other, ...CUSTOMER);
  await page.locator('dialog').waitFor({ state: 'detached', ...LIVE });
});

visitor('a form of another person is never sent, even by a tab that heard nothing', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.locator('#customerName').waitFor(LIVE);
  await page.waitForFunction(() => document.querySelector('#customerName').value !== '');
  const orders = sent(page, 'POST', '/orders');
  // A tab is never told of what it writes itself: as if it had been frozen meanwhile.
  await page.evaluate(() => localStorage.setItem('signedIn', 'somebody else'));
  await page.click('form .primary');
  await page.getByText('보내지 않았어요').waitFor(LIVE);
  assert.equal(orders.length, 0);
});

visitor('an order that waits is not sent by whoever comes next', { expected: ['503'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  let posts = 0;
  await page.route('**/orders', (route) => {
    posts += 1;
    return route.fulfill({ status: 503, headers: { 'Retry-After': '3' }, contentType: 'application/problem+json', body: '{}' });
  });
  await page.click('form .primary');
  await page.getByText('초 뒤 다시').waitFor(LIVE);
  const other = await context.newPage();
  await signIn(other, ...SECOND_CUSTOMER);
  await page.waitForFunction(() => ['', '여울'].includes(document.querySelector('#customerName')?.value));
  await page.getByText('다른 탭에서').waitFor(LIVE);
  await page.getByText('초 뒤 다시').waitFor({ state: 'detached' });
  await page.waitForTimeout(4_000);
  assert.equal(posts, 1);
  assert.equal(await page.getByText('무언가 잘못됐어요').count(), 0);
});

visitor('an answer that comes after one has signed out does not end the session a second time', { expected: ['401'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  let release;
  const gone = new Promise((resolve) => (release = resolve));
  await page.route('**/orders', async (route) => {
    await gone;
    await route.continue();
  });
  const other = await context.newPage();
  await other.goto('/');
  await page.click('form .primary');
  await other.getByRole('button', { name: '로그아웃' }).click();
  await other.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  await page.waitForURL((url) => url.pathname === '/');
  const answered = page.waitForResponse((it) => it.url().endsWith('/orders'));
  release();
  assert.equal((await answered).status(), 401);
  await page.waitForTimeout(1_000);
  assert.equal(new URL(page.url()).pathname, '/', 'nobody is asked to sign in');
  assert.equal(await page.evaluate(() => localStorage.getItem('signedIn')), null);
  await page.goto('/signin');
  assert.equal(await page.getByText('로그인이 끝났어요').count(), 0);
});

visitor('an order is refused where the cookies are another’s', { expected: ['403'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  // Not by this app: nobody tells this tab.
  const form = { username: SECOND_CUSTOMER[0], password: SECOND_CUSTOMER[1] };
  const origin = new URL(page.url()).origin;
  assert.equal((await context.request.post('/oauth/session', { form, headers: { Origin: origin } })).status(), 204);
  const answer = page.waitForResponse((it) => it.request().method() === 'POST' && it.url().endsWith('/orders'));
  await page.click('form .primary');
  assert.equal((await answer).status(), 403);
  await page.waitForFunction(() => document.querySelector('#customerName')?.value !== '유엔진');
});

visitor('signing out in one tab signs every tab out', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  const other = await context.newPage();
  await other.goto('/mypage');
  await other.locator('h1', { hasText: '유엔진' }).waitFor(LIVE);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await other.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  assert.equal(await other.getByText('유엔진').count(), 0);
});

visitor('a sign-out while offline is said, kept and carried out', { expected: ['ERR_'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await context.setOffline(true);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByText('로그아웃을 아직 마치지 못했어요').waitFor(LIVE);
  await page.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  await picture(page, 'sign-out-offline');
  // The tab is gone before the network is back.
  await page.close();
  await context.setOffline(false);
  const session = async () => (await context.cookies()).filter((it) => it.name.includes('session'));
  assert.equal((await session()).length, 1, 'nobody could be told yet');
  const next = await context.newPage();
  const left = next.waitForResponse((it) => it.request().method() === 'DELETE' && it.url().endsWith('/oauth/session'));
  await next.goto('/mypage');
  assert.equal((await left).status(), 204);
  assert.equal(await next.getByText('유엔진').count(), 0);
  await next.getByText('로그아웃을 아직 마치지 못했어요').waitFor({ state: 'detached', ...LIVE });
  assert.equal((await session()).length, 0);
});

visitor('a sign-out that the mall cannot take now is carried out later', { expected: ['503', '401'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  let failing = true;
  await page.route('**/oauth/session', (route) =>
    failing && route.request().method() === 'DELETE' ? route.fulfill({ status: 503, body: '{}' }) : route.continue(),
  );
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByText('로그아웃을 아직 마치지 못했어요').waitFor(LIVE);
  failing = false;
  await page.getByText('로그아웃을 아직 마치지 못했어요').waitFor({ state: 'detached', ...LIVE });
  assert.equal(await page.evaluate(async () => (await fetch('/oauth/me')).status).catch(() => 401), 401);
});

visitor('the same person who signs in again in another tab is nobody else', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  await page.fill('#customerName', '받는 이');
  const mark = await MARK(page);
  const other = await context.newPage();
  await signIn(other, ...CUSTOMER);
  assert.notEqual(await MARK(page), mark);
  await page.locator('.bar a[href="/mypage"]').waitFor(LIVE);
  await page.click('form .primary');
  await page.getByText('보내지 않았어요').or(page.locator('.steps[data-order-id]')).first().waitFor(LIVE);
  assert.equal(await page.getByText('다른 분이 로그인했어요').count(), 0);
});

visitor('a sign-out that waits comes before whoever signs in next', { expected: ['ERR_', '401'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/signin');
  await page.locator('#username').waitFor(LIVE);
  await context.setOffline(true);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByText('로그아웃을 아직').waitFor(LIVE);
  await context.setOffline(false);
  const order = [];
  page.on('request', (it) => it.url().endsWith('/oauth/session') && order.push(it.method()));
  await signIn(page, ...SECOND_CUSTOMER);
  await page.waitForTimeout(5_000);
  const me = await page.evaluate(async () => (await fetch('/oauth/me')).json());
  assert.equal(me.username, SECOND_CUSTOMER[0]);
  assert.equal(await page.getByText('로그아웃을 아직').count(), 0);
  assert.ok(await MARK(page));
});

visitor('however many tabs need it, the session is renewed once', { expected: ['401'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  const tabs = [page, await context.newPage(), await context.newPage()];
  const renewals = tabs.map((tab) => sent(tab, 'PUT', '/oauth/session'));
  for (const tab of tabs) {
    await tab.goto('/');
    await tab.locator('.bar a[href="/mypage"]').waitFor(LIVE);
    await tab.waitForLoadState('networkidle');
  }
  // The access token runs out in all of them at once.
  const kept = (await context.cookies()).filter((it) => !it.name.includes('session'));
  await context.clearCookies();
  await context.addCookies(kept);
  await Promise.all(tabs.map((tab) => tab.goto('/products/2')));
  for (const tab of tabs) {
    await tab.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  }
  assert.equal(renewals.flat().length, 1);
});

visitor('a renewal that cannot be answered ends no session', { expected: ['401', '503'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  const kept = (await context.cookies()).filter((it) => !it.name.includes('session'));
  await context.clearCookies();
  await context.addCookies(kept);
  let failing = true;
  await page.route('**/oauth/session', (route) =>
    failing
      ? route.fulfill({ status: 503, headers: { 'Retry-After': '1', 'Proxy-Status': 'yeoul; error=connection_refused' }, body: '{}' })
      : route.continue(),
  );
  await page.goto('/products/2');
  await page.locator('#customerName').waitFor(LIVE);
  assert.ok(await MARK(page));
  failing = false;
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진', undefined, LIVE);
});

visitor('too many wrong passwords are told in words and not tried again', { expected: ['429'] }, async ({ page }) => {
  let tries = 0;
  await page.route('**/oauth/session', (route) => {
    tries += 1;
    return route.fulfill({ status: 429, headers: { 'Retry-After': '271' }, body: '{"status":429}' });
  });
  await page.goto('/signin');
  await page.fill('#username', CUSTOMER[0]);
  await page.fill('#password', 'wrong');
  await page.press('#password', 'Enter');
  await page.getByRole('alert').getByText('5분 뒤에 다시').waitFor(LIVE);
  await picture(page, 'sign-in-too-often', { dark: false });
  assert.equal(tries, 1);
});

/** The words and the colours of a page, as it says and shows them. */
const choices = (page) => page.evaluate(() => [document.documentElement.lang, getComputedStyle(document.documentElement).colorScheme, document.querySelector('.bar input').placeholder]);
const chosen = (page, expected) => page.waitForFunction((expected) => JSON.stringify([document.documentElement.lang, getComputedStyle(document.documentElement).colorScheme, document.querySelector('.bar input').placeholder]) === expected, JSON.stringify(expected), LIVE);

visitor('a language and a theme that are chosen in one tab are those of every tab, and what is typed there stays', {}, async ({ page, context }) => {
  await signIn(page, ...ADMINISTRATOR);
  await page.locator('.card[data-product-id="5"]').getByRole('button', { name: '수정' }).click();
  await page.fill('#name', 'HALF A NAME');
  const [typing, printed, choosing] = [await context.newPage(), await context.newPage(), await context.newPage()];
  await typing.goto('/products/2');
  await typing.waitForFunction(() => document.querySelector('#customerName')?.value);
  await typing.fill('#quantity', '1.5');
  await typing.fill('#customerAddr', '적다 만 주소');
  await printed.goto('/mypage');
  await printed.locator('#app .orders-head').waitFor(LIVE);
  await choosing.goto('/');
  await choosing.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  const others = [page, typing, printed];
  for (const [button, expected] of [['English', ['en', 'light', 'Search products']], ['Switch to dark', ['en', 'dark', 'Search products']], ['한국어', ['ko', 'dark', '상품 찾기']], ['밝은 화면으로', ['ko', 'light', '상품 찾기']]]) {
    await choosing.getByRole('button', { name: button }).click();
    for (const tab of [choosing, ...others]) await chosen(tab, expected);
  }
  assert.deepEqual(await choices(page), ['ko', 'light', '상품 찾기']);
  assert.equal(await page.inputValue('#name'), 'HALF A NAME');
  assert.deepEqual([await typing.inputValue('#quantity'), await typing.inputValue('#customerAddr')], ['1.5', '적다 만 주소']);
  assert.equal(await typing.evaluate(() => document.activeElement.id), 'customerAddr', 'the focus stays too');
  assert.equal(await typing.title(), 'MASK · 12 STREET');
});

/** As another tab tells it: before the cookie that says the same can be read here. */
const tell = (page, language) => page.evaluate((newValue) => dispatchEvent(new StorageEvent('storage', { key: 'lang', newValue })), language);

visitor('a tab speaks the language that it is told of, whatever its cookie still says', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await tell(page, 'en');
  await chosen(page, ['en', 'light', 'Search products']);
});

visitor('of two languages that were chosen the later is spoken, however long the other takes to load', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  let release;
  const held = new Promise((go) => (release = go));
  await page.route('**/assets/en-*.js', async (route) => {
    await held;
    await route.continue();
  });
  const asked = page.waitForRequest('**/assets/en-*.js');
  await tell(page, 'en');
  const answered = (await asked).response();
  await tell(page, 'ko');
  release();
  await answered;
  await page.waitForTimeout(500);
  assert.deepEqual(await choices(page), ['ko', 'light', '상품 찾기']);
  await tell(page, 'en');
  await chosen(page, ['en', 'light', 'Search products']);
});

visitor('a tab that heard nothing of a choice follows it when it is shown again', {}, async ({ page, context }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await page.fill('.bar input', 'mask');
  // A tab is never told of what it writes itself: as if it had been frozen meanwhile.
  await context.addCookies([{ name: 'lang', value: 'en', url: here.mall.url }]);
  await page.evaluate(() => {
    localStorage.setItem('theme', 'dark');
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
  await chosen(page, ['en', 'dark', 'Search products']);
  assert.equal(await page.inputValue('.bar input'), 'mask');
});

visitor('a tab whose words are gone since a deploy keeps what is typed there, and its language', { expected: ['404'] }, async ({ page, context }) => {
  await page.goto('/signin');
  await page.fill('#username', 'half@example');
  let loads = 0;
  page.on('load', () => (loads += 1));
  const asked = page.waitForRequest('**/assets/en-*.js');
  await page.route('**/assets/en-*.js', (route) => route.fulfill({ status: 404, body: '' }));
  const choosing = await context.newPage();
  await choosing.goto('/');
  await choosing.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await choosing.getByRole('button', { name: 'English' }).click();
  await chosen(choosing, ['en', 'light', 'Search products']);
  await asked;
  await page.waitForTimeout(1_000);
  assert.equal(loads, 0);
  assert.equal(await page.inputValue('#username'), 'half@example');
  assert.equal(await page.getAttribute('html', 'lang'), 'ko');
});
