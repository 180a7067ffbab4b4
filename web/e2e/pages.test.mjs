// What an address shows: pages for people and data for programs, and a page that was translated.
import assert from 'node:assert/strict';
import { CUSTOMER, LIVE, order, picture, row, shop, signIn } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;

/** Does to every text of the page what a browser's translator does. */
const translate = (page) =>
  page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      if (!text.data.trim() || text.parentElement.closest('script, font')) continue;
      const [outer, inner] = [document.createElement('font'), document.createElement('font')];
      inner.textContent = `«${text.data}»`;
      outer.append(inner);
      text.parentNode.replaceChild(outer, text);
    }
  });

visitor('a translated page stays live', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/mypage');
  await page.locator('#app .mark.live').first().waitFor(LIVE);
  const other = await context.newPage();
  const first = await order(other, 2, 1);
  await row(page, first).and(page.locator('[data-delivery="DeliveryStarted"]')).waitFor(LIVE);
  await translate(page);
  await page.getByText('«배송 시작»').first().waitFor(LIVE);
  // A row of before changes, a new one comes, and the bar counts.
  await page.evaluate((id) => document.querySelector(`tr[data-order-id="${id}"] .c-action button`).click(), first);
  await page.getByRole('button', { name: '주문 취소' }).click();
  await row(page, first).and(page.locator('[data-delivery="DeliveryCancelled"]')).waitFor(LIVE);
  assert.equal((await row(page, first).locator('.c-state').innerText()).trim(), '취소 됨');
  assert.equal((await row(page, first).locator('.c-delivery').innerText()).trim(), '배송 취소 됨');
  assert.equal((await row(page, first).locator('.c-action').innerText()).trim(), '', 'what went took its translation along');
  const second = await order(other, 2, 1);
  await row(page, second).and(page.locator('[data-delivery="DeliveryStarted"]')).waitFor(LIVE);
  await page.waitForFunction(() => document.querySelector('.bar .count')?.textContent === '1');
  // Again, and to other screens and back.
  await translate(page);
  await page.click('.brand');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await translate(page);
  const left = await page.locator('.card[data-product-id="2"] [data-stock]').getAttribute('data-stock');
  await order(other, 2, 3);
  await page.locator(`.card[data-product-id="2"] [data-stock="${left - 3}"]`).waitFor({ timeout: 15_000 });
  assert.match(await page.locator('.card[data-product-id="2"] [data-stock]').innerText(), new RegExp(`${left - 3}$`));
  await page.click('.card a[href="/products/2"]');
  await page.locator('h1', { hasText: 'MASK' }).waitFor(LIVE);
  await translate(page);
  await page.fill('#quantity', '4');
  await page.waitForFunction(() => document.querySelector('.sum').textContent.trim() === '80,000원');
  await page.click('form .primary');
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  assert.equal(await page.locator('section h2').innerText(), '주문을 받았어요');
  assert.equal(await page.getByText('«합계»').count(), 0);
});

visitor('a translation that is taken back shows what is true now', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  const before = await page.locator('main').innerText();
  await page.evaluate(async () => {
    const done = [];
    const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      if (!text.data.trim()) continue;
      const font = document.createElement('font');
      font.textContent = 'x';
      text.replaceWith(font);
      done.push([font, text]);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const [font, text] of done) font.replaceWith(text);
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
  assert.equal(await page.locator('main').innerText(), before);
});

visitor('Back after leaving shows the page and not its data', { expected: ['404'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  for (const [path, shown] of [['/products/3', 'NOTEBOOK'], ['/mypage', '유엔진']]) {
    await page.goto(path);
    await page.locator('h1', { hasText: shown }).waitFor(LIVE);
    // The same addresses, asked for as data by this page.
    await page.evaluate(async (path) => {
      const own = path === '/mypage' ? '/mypages/1%40uengine.org' : path;
      for (let i = 0; i < 2; i += 1) await (await fetch(own, { headers: { Accept: 'application/json' } })).text();
    }, path);
    await page.goto('about:blank');
    await page.goBack();
    await page.locator('h1', { hasText: shown }).waitFor(LIVE);
    await page.locator('.bar').waitFor(LIVE);
  }
  // An address whose page was never loaded, only drawn by the app.
  await page.goto('/');
  await page.click('.card a[href="/products/2"]');
  await page.locator('h1', { hasText: 'MASK' }).waitFor(LIVE);
  await page.evaluate(async () => (await fetch('/products/2', { headers: { Accept: 'application/json' } })).text());
  await page.goto('about:blank');
  await page.goBack();
  await page.locator('h1', { hasText: 'MASK' }).waitFor(LIVE);
  await page.goto('/products/99', { waitUntil: 'commit' });
  await page.goto('about:blank');
  await page.goBack();
  await page.locator('.bar').waitFor(LIVE);
});

for (const [path, status, words] of [
  ['/nope', 404, '찾는 화면이 없어요'],
  ['/console', 404, '찾는 화면이 없어요'],
  ['/products/3/', 404, '찾는 화면이 없어요'],
  ['/products/99999', 404, '찾는 화면이 없어요'],
  ['/assets/old-hash.html', 404, '찾는 화면이 없어요'],
]) {
  visitor(`${path} is a page with ${status}, a search and a way on`, { expected: [`${status}`] }, async ({ page }) => {
    const answer = await page.goto(path);
    assert.equal(answer.status(), status);
    await page.getByRole('heading', { name: words }).waitFor(LIVE);
    await page.locator('main input[type="search"]').fill('note');
    await page.press('main input[type="search"]', 'Enter');
    await page.locator('.card', { hasText: 'NOTEBOOK' }).waitFor(LIVE);
    assert.equal(await page.locator('.card[data-product-id]').count(), 1);
    await page.goBack();
    await page.getByRole('heading', { name: path === '/products/99999' ? '팔지 않아요' : words }).waitFor(LIVE);
    await page.locator('main input[type="search"]').waitFor(LIVE);
    await page.getByRole('link', { name: '상품 보러 가기' }).click();
    await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  });
}

visitor('a page that one has to sign in for is the sign-in page, and leads back', { expected: ['401'] }, async ({ page }) => {
  const signInHere = async () => {
    await page.locator('#username').waitFor(LIVE);
    await page.fill('#username', CUSTOMER[0]);
    await page.fill('#password', CUSTOMER[1]);
    await page.press('#password', 'Enter');
  };
  assert.equal((await page.goto('/mypages/1%40uengine.org')).status(), 401);
  await signInHere();
  await page.locator('h1', { hasText: '유엔진' }).waitFor(LIVE);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  await page.goto('/mypage');
  await signInHere();
  await page.locator('h1', { hasText: '유엔진' }).waitFor(LIVE);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  // What is the mall's alone is asked of the mall again.
  assert.equal((await page.goto('/orders')).status(), 401);
  await signInHere();
  await page.getByText('_embedded').waitFor(LIVE);
});

visitor('a page whose session only has to be renewed is renewed and shown', { expected: ['401'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  const kept = (await context.cookies()).filter((it) => !it.name.includes('session'));
  for (const [path, shown] of [['/mypages/1%40uengine.org', '유엔진'], ['/orders', '_embedded']]) {
    await context.clearCookies();
    await context.addCookies(kept.filter((it) => it.name !== 'lang'));
    assert.equal((await page.goto(path)).status(), 401);
    await page.getByText(shown).first().waitFor(LIVE);
    kept.splice(0, kept.length, ...(await context.cookies()).filter((it) => !it.name.includes('session')));
  }
});

visitor('a page of somebody else is not shown and says so', { expected: ['403', '404'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const answer = await page.goto('/mypages/2%40uengine.org');
  assert.ok([403, 404].includes(answer.status()));
  await page.locator('main input[type="search"]').waitFor(LIVE);
});

for (const [status, words] of [[403, '볼 수 없는 화면'], [429, '지금은 열 수 없어요'], [503, '지금은 열 수 없어요'], [500, '지금은 열 수 없어요']]) {
  visitor(`a page that came with ${status} says so in words`, { expected: [`${status}`] }, async ({ page }) => {
    await page.route('**/products/3', async (route) => {
      if (!route.request().isNavigationRequest()) return route.continue();
      const answer = await route.fetch({ url: `${here.mall.url}/` });
      const body = (await answer.text()).replace('</head>', `<meta name="yeoul-status" content="${status}"></head>`);
      await route.fulfill({ status, contentType: 'text/html', body });
    });
    await page.goto('/products/3');
    await page.getByRole('heading', { name: words }).waitFor(LIVE);
    await picture(page, `refused-${status}`, { dark: false });
    await page.click('.brand');
    await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  });
}
