// The shop as a customer and an administrator use it, in a real browser against a real mall.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, SECOND_CUSTOMER, order, picture, row, shop, signIn, visit } from './start.mjs';

const here = shop();
const { visitor } = here;

const stockOf = (page, id) =>
  page.locator(`.card[data-product-id="${id}"] [data-stock]`).getAttribute('data-stock');

visitor('a visitor sees the products without signing in', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  assert.deepEqual(await page.locator('.card-name').allTextContents(), ['TV', 'MASK', 'NOTEBOOK', 'TABLE', 'CLOCK']);
  assert.equal(await page.locator('.card-price').first().textContent(), '10,000원');
  assert.equal(await stockOf(page, 1), '10');
  await picture(page, 'products');
  await page.click('.card a[href="/products/3"]');
  await page.locator('h1', { hasText: 'NOTEBOOK' }).waitFor(LIVE);
  assert.equal(await page.title(), 'NOTEBOOK · 12 STREET');
  await picture(page, 'product-visitor');
});

visitor('an order goes from taken to delivery started while one watches', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  assert.equal(await stockOf(page, 1), '10');
  await page.click('.card a[href="/products/1"]');
  await page.locator('#quantity').waitFor(LIVE);
  await page.fill('#quantity', '3');
  assert.equal((await page.locator('.sum').textContent()).trim(), '30,000원');
  assert.equal(await page.inputValue('#customerName'), '유엔진');
  await picture(page, 'product');
  await page.click('form .primary');
  await page.locator('.steps[data-state="OrderPlaced"][data-delivery="DeliveryStarted"]').waitFor(LIVE);
  await picture(page, 'order-done');
  await page.click('section a[href="/mypage"]');
  await page.locator('tr[data-state="OrderPlaced"][data-delivery="DeliveryStarted"]').waitFor(LIVE);
  await page.click('.brand');
  await page.locator('.card[data-product-id="1"] [data-stock="7"]').waitFor(LIVE);
});

visitor('my page changes without a reload while an order is placed elsewhere', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/mypage');
  await page.locator('.mark.live', { hasText: '실시간' }).first().waitFor(LIVE);
  await page.evaluate(() => {
    window.neverReloaded = true;
    window.seen = [];
    new MutationObserver(() => {
      for (const tr of document.querySelectorAll('tr[data-order-id]')) {
        const now = `${tr.dataset.orderId} ${tr.dataset.state} ${tr.dataset.delivery}`.trim();
        if (!window.seen.includes(now)) window.seen.push(now);
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  const other = await context.newPage();
  const id = await order(other, 2, 2);
  await other.close();
  await row(page, id).and(page.locator('[data-delivery="DeliveryStarted"]')).waitFor(LIVE);
  assert.match(await row(page, id).textContent(), /주문 완료.*배송 시작/s);
  const seen = await page.evaluate(() => window.seen.map(String));
  const ofThis = seen.filter((it) => it.startsWith(`${id} `)).map((it) => it.slice(id.length + 1));
  assert.equal(ofThis.at(-1), 'OrderPlaced DeliveryStarted');
  assert.equal(await page.evaluate(() => window.neverReloaded), true);
});

visitor('a cancelled order gives its stock back, and a kept one does not', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 3, 4);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  await page.goto('/mypage');
  const cancel = row(page, id).getByRole('button', { name: '취소' });
  await cancel.click();
  await picture(page, 'my-page-cancel');
  await page.keyboard.press('Escape');
  assert.equal(await row(page, id).getAttribute('data-state'), 'OrderPlaced');
  await cancel.click();
  await page.getByRole('button', { name: '주문 취소' }).click();
  await row(page, id).and(page.locator('[data-state="OrderCancelled"][data-delivery="DeliveryCancelled"]')).waitFor(LIVE);
  assert.match(await row(page, id).textContent(), /취소 됨.*배송 취소 됨/s);
  await picture(page, 'my-page');
  await page.goto('/');
  await page.locator('.card[data-product-id="3"] [data-stock="30"]').waitFor(LIVE);
});

visitor('more than there is ends cancelled and says why', {}, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  await order(page, 5, 999);
  await page.locator('.steps[data-state="OrderCancelled"]').waitFor(LIVE);
  await page.getByText('재고가 모자라').waitFor(LIVE);
  await picture(page, 'order-cancelled');
});

visitor('more than there is under the policy reject is refused in place', { expected: ['409'] }, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  await page.goto('/products/4');
  await page.fill('#quantity', '999');
  await page.click('form .primary');
  await page.getByRole('alert').getByText('재고가 모자라').waitFor(LIVE);
  assert.equal(await page.inputValue('#quantity'), '999');
  await picture(page, 'order-refused');
});

visitor('the static page and the app say the same', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await order(page, 2, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  for (const lang of ['ko', 'en']) {
    await context.addCookies([{ name: 'lang', value: lang, url: here.mall.url }]);
    let pages = 0;
    const count = (request) => (pages += /\/mypages\/[^/]+$/.test(new URL(request.url()).pathname) ? 1 : 0);
    page.on('request', count);
    const answer = await page.goto('/mypage');
    const html = await answer.text();
    await page.locator('#app .mark.live').first().waitFor(LIVE);
    page.off('request', count);
    assert.equal(pages, 0, 'the page is asked for once');
    assert.equal(await page.locator('#static').count(), 0);
    const [printed, drawn] = await page.evaluate((html) => {
      const words = (root) => {
        const walker = root.ownerDocument.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        const found = [];
        while (walker.nextNode()) {
          const { parentElement, data } = walker.currentNode;
          if (parentElement.closest('[aria-live]')) continue;
          const time = parentElement.closest('time');
          const text = time ? time.getAttribute('datetime') : data.replace(/\s+/g, ' ').trim();
          if (text) found.push(text);
        }
        return found.join(' ').replace(/\s+/g, ' ');
      };
      const before = new DOMParser().parseFromString(html, 'text/html');
      return [words(before.querySelector('#static')), words(document.querySelector('#app'))];
    }, html);
    assert.ok(printed.includes(lang === 'ko' ? '배송 시작' : 'On its way'), printed);
    assert.equal(drawn, printed);
    await picture(page, `my-page-${lang}`);
  }
});

visitor('the app takes over within one frame and moves nothing', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await order(page, 2, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  await page.addInitScript(() => {
    window.shift = 0;
    window.frames = new Set();
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shift += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
    const look = () => {
      const app = document.getElementById('app');
      const drawn = app !== null && !app.hidden && app.children.length > 0;
      if (app) window.frames.add(`${document.getElementById('static') ? 'static' : ''}${drawn ? 'app' : ''}`);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    await page.goto('/mypage');
    await page.locator('#app .mark.live').first().waitFor(LIVE);
    const { shift, frames } = await page.evaluate(() => ({ shift: window.shift, frames: [...window.frames] }));
    assert.equal(shift, 0);
    assert.deepEqual(frames.filter((it) => it !== 'static' && it !== 'app'), []);
  }
});

visitor('my page reads without scripts', { javaScriptEnabled: false, expected: [] }, async ({ page, context }) => {
  const signed = await visit(here.browser, here.mall, {});
  await signIn(signed.page, ...CUSTOMER);
  const id = await order(signed.page, 2, 1);
  // Nobody waits for a write where no script runs: the page is asked for once the order is on it.
  await signed.page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  await context.addCookies(await signed.context.cookies());
  await signed.end();
  await page.goto('/mypage');
  assert.equal(await page.locator('h1').textContent(), '유엔진');
  assert.equal(await page.locator(`#static tr[data-order-id="${id}"]`).count(), 1);
});

visitor('somebody new signs up and is back where they came from', { expected: ['409', '400'] }, async ({ page }) => {
  await page.goto('/products/2');
  await page.fill('#quantity', '2');
  await page.click('form .primary');
  await page.waitForURL('**/signin?from=**');
  await picture(page, 'sign-in');
  await page.fill('#username', 'nobody@example.com');
  await page.fill('#password', 'wrong password');
  await page.press('#password', 'Enter');
  await page.getByText('맞지 않아요').waitFor(LIVE);
  await picture(page, 'sign-in-wrong', { dark: false });
  await page.click('main a[href^="/signup"]');
  await page.fill('#username', 'not an address');
  await page.press('#username', 'Enter');
  await page.locator('#username[aria-invalid]').waitFor(LIVE);
  await picture(page, 'sign-up-wrong', { dark: false });
  await page.fill('#username', '1@uengine.org');
  await page.fill('#password', 'eight or more');
  await page.fill('#nickname', '<b>새봄</b>');
  await page.fill('#address', '부산시 해운대구');
  await page.press('#address', 'Enter');
  await page.getByText('이미 가입한').waitFor(LIVE);
  await page.fill('#username', 'new@example.com');
  await picture(page, 'sign-up');
  await page.press('#address', 'Enter');
  await page.waitForURL('**/products/2?quantity=2');
  assert.equal(await page.inputValue('#quantity'), '2');
  assert.equal(await page.inputValue('#customerName'), '<b>새봄</b>');
  await page.goto('/mypage');
  await page.locator('h1', { hasText: '<b>새봄</b>' }).waitFor(LIVE);
  await picture(page, 'my-page-empty');
});

visitor('after signing out the back button shows nothing private', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await order(page, 2, 1);
  // Once as a page the server printed, once as one the app drew.
  await page.goto('/mypage');
  await page.locator('#app tr[data-order-id]').first().waitFor(LIVE);
  await page.click('.brand');
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  await page.goBack();
  await page.waitForURL('**/signin**');
  assert.equal(await page.getByText('유엔진').count(), 0);
  assert.equal(await page.locator('tr[data-order-id]').count(), 0);
  await page.goto('/mypage');
  await page.waitForURL('**/signin**');
  assert.equal(await page.locator('tr[data-order-id]').count(), 0);
});

visitor('an administrator registers, changes and deletes a product', {}, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  await page.getByRole('button', { name: '상품 등록' }).click();
  await page.locator('dialog[open]').waitFor(LIVE);
  await page.press('#name', 'Enter');
  await page.locator('#name[aria-invalid]').waitFor(LIVE);
  await page.fill('#name', 'LAMP <i>9</i>');
  await page.fill('#price', '45000');
  await page.fill('#stock', '0');
  await picture(page, 'product-form');
  await page.press('#stock', 'Enter');
  const card = page.locator('.card', { hasText: 'LAMP <i>9</i>' });
  await card.getByText('품절').waitFor(LIVE);
  assert.equal(await card.locator('i').count(), 0);
  await picture(page, 'products-administrator');
  await card.getByRole('button', { name: '수정' }).click();
  await page.fill('#price', '39000');
  await page.fill('#stock', '5');
  await page.getByLabel('주문을 바로 거절').check();
  await page.press('#stock', 'Enter');
  await card.locator('[data-stock="5"]').waitFor(LIVE);
  assert.equal(await card.locator('.card-price').textContent(), '39,000원');
  await card.getByRole('button', { name: '수정' }).click();
  assert.equal(await page.getByLabel('주문을 바로 거절').isChecked(), true);
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await card.getByRole('button', { name: '수정' }).click();
  await page.getByRole('button', { name: '상품 삭제' }).click();
  await page.getByRole('button', { name: '삭제', exact: true }).click();
  await card.waitFor({ state: 'detached', ...LIVE });
});

visitor('a customer is offered nothing of an administrator', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  await page.click('.card a[href="/products/2"]');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  await page.click('.brand');
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  assert.equal(await page.getByRole('button', { name: '상품 등록' }).count(), 0);
  assert.equal(await page.getByRole('button', { name: '수정' }).count(), 0);
});

visitor('the language and the theme are switched and kept', { locale: 'en-US' }, async ({ page, context }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  await page.getByRole('heading', { name: 'Products' }).waitFor(LIVE);
  await picture(page, 'products-english', { dark: false });
  await page.getByRole('button', { name: '한국어' }).click();
  await page.getByRole('heading', { name: '상품', exact: true }).waitFor(LIVE);
  assert.equal(await page.getAttribute('html', 'lang'), 'ko');
  const [kept] = (await context.cookies()).filter((it) => it.name === 'lang');
  assert.deepEqual([kept.value, kept.path, kept.sameSite], ['ko', '/', 'Lax']);
  await page.getByRole('button', { name: '어두운 화면으로' }).click();
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await page.reload();
  await page.getByRole('heading', { name: '상품', exact: true }).waitFor(LIVE);
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
});

visitor('the list is searched as one types, and an empty one shows the way on', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  await page.getByRole('searchbox').fill('not');
  await page.locator('.card[data-product-id]').nth(1).waitFor({ state: 'detached' });
  assert.deepEqual(await page.locator('.card-name').allTextContents(), ['NOTEBOOK']);
  await page.getByRole('searchbox').fill('nothing');
  await page.getByText('맞는 상품이 없어요').waitFor(LIVE);
  await picture(page, 'products-none', { dark: false });
  await page.getByRole('link', { name: '모든 상품 보기' }).click();
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
});

visitor('a busy mall is waited for under the same key', { expected: ['503'] }, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  const keys = [];
  await page.route('**/orders', async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    if (keys.length > 2) return route.continue();
    await route.fulfill({
      status: 503,
      headers: { 'Retry-After': '1', 'Content-Type': 'application/problem+json' },
      body: '{"title":"busy","status":503}',
    });
  });
  await page.goto('/products/2');
  await page.locator('#customerName').waitFor(LIVE);
  await page.click('form .primary');
  await page.getByText('지금 주문이 많아요. 1초 뒤').waitFor(LIVE);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  assert.equal(keys.length, 3);
  assert.ok(keys[0]);
  assert.deepEqual(new Set(keys), new Set([keys[0]]));
});

visitor('the keyboard alone places an order', {}, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  await page.locator('.card a').nth(1).focus();
  await page.keyboard.press('Enter');
  await page.locator('h1', { hasText: 'MASK' }).waitFor(LIVE);
  await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
  await page.locator('#customerName').waitFor(LIVE);
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowUp');
  assert.equal(await page.inputValue('#quantity'), '2');
  await page.keyboard.press('Enter');
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
});

visitor('an address that is nothing says so', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').first().waitFor(LIVE);
  await page.evaluate(() => {
    const link = Object.assign(document.createElement('a'), { href: '/nothing/here', textContent: '-' });
    document.querySelector('#main').append(link);
    link.click();
  });
  await page.getByRole('heading', { name: '찾는 화면이 없어요' }).waitFor(LIVE);
  await picture(page, 'not-found', { dark: false });
});
