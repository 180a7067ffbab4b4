// Where the focus goes, what is said, and what must not lie over something else.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, order, row, SECOND_CUSTOMER, shop, signIn } from './start.mjs';

const here = shop({ faults: true });
const { asAdministrator, visitor, without } = here;
const STOPPED = ['503', '502', '504', 'ERR_'];
/** What the browser says of an answer that a test provokes. */
const REFUSED = ['400', '401', '404', '409'];

const focused = (page, selector) => page.waitForFunction((it) => document.activeElement?.matches(it), selector);

const added = (more) => asAdministrator('POST', '/products', { name: 'LAMP', price: 1000, stock: 5, stockPolicy: 'reject', ...more });

visitor('the heading of a product that was deleted meanwhile has the focus', { expected: REFUSED }, async ({ page }) => {
  const { id } = await added();
  await signIn(page, ...CUSTOMER);
  await page.goto(`/products/${id}`);
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await asAdministrator('DELETE', `/products/${id}`);
  await page.click('form .primary');
  await page.locator('h1', { hasText: '이제 팔지 않아요' }).waitFor(LIVE);
  await focused(page, 'h1');
});

visitor('a button whose product sells out keeps the focus, and that is said', {}, async ({ page }) => {
  const { id } = await added({ stock: 4321 });
  await signIn(page, ...CUSTOMER);
  await page.goto(`/products/${id}`);
  await page.locator('[data-stock="4321"]', { hasText: '4,321' }).waitFor(LIVE);
  await page.focus('form.form .primary');
  await asAdministrator('PATCH', `/products/${id}`, { stock: 0 });
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await page.locator('form.form .primary', { hasText: '품절' }).waitFor({ timeout: 20_000 });
  await focused(page, 'form.form .primary[aria-disabled="true"]');
  await page.locator('[aria-live="polite"]', { hasText: '품절' }).waitFor({ state: 'attached' });
  let orders = 0;
  page.on('request', (request) => (orders += request.method() === 'POST' ? 1 : 0));
  await page.keyboard.press('Enter');
  await page.waitForTimeout(500);
  assert.equal(orders, 0);
});

visitor('a form of signing in that says nobody is not sent, and a wrong pair is said each time', { expected: REFUSED }, async ({ page }) => {
  await page.goto('/signin');
  let sent = 0;
  page.on('request', (request) => (sent += request.method() === 'POST' ? 1 : 0));
  await page.click('form.form .primary');
  await page.locator('#username-wrong', { hasText: '이메일을 적어' }).waitFor(LIVE);
  await page.locator('#password-wrong', { hasText: '비밀번호를 적어' }).waitFor(LIVE);
  await focused(page, '#username');
  assert.equal(sent, 0);
  await page.fill('#username', CUSTOMER[0]);
  await page.fill('#password', 'wrong-one');
  await page.press('#password', 'Enter');
  const said = page.locator('#password-wrong', { hasText: '맞지 않아요' });
  await said.waitFor(LIVE);
  await said.evaluate((it) => (it.dataset.first = 'yes'));
  await page.fill('#password', 'wrong-two');
  await page.click('form.form .primary');
  await page.locator('#password-wrong:not([data-first])', { hasText: '맞지 않아요' }).waitFor(LIVE);
  await focused(page, '#password');
  assert.equal(sent, 2);
});

visitor('questions name what they ask about, and whoever is signed in is told so', {}, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  const id = await order(page, 2, 1);
  await page.goto('/mypage');
  await row(page, id).getByRole('button', { name: '취소' }).click();
  await page.getByRole('group', { name: `MASK 주문 ${id}번을 취소할까요?` }).waitFor();
  await focused(page, '.answer .danger');
  for (const path of ['/signin?from=%2Fmypage', '/signup?from=%2Fmypage']) {
    await page.goto(path);
    await page.getByText('님으로 로그인하셨어요').waitFor(LIVE);
    await page.getByRole('link', { name: '이대로 계속하기' }).click();
    await page.waitForURL('**/mypage');
  }
});

visitor('an administrator is asked about a product by its name', {}, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  await page.click('.card[data-product-id="3"] button');
  await page.getByRole('button', { name: '상품 삭제' }).click();
  await page.getByRole('group', { name: '상품 ‘NOTEBOOK’, 정말 삭제할까요?' }).waitFor();
});

visitor('a control character is named, and the field with it has the focus', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/3');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await page.fill('#customerAddr', '서울\u0001시');
  await page.click('form .primary');
  await page.locator('#customerAddr-wrong', { hasText: '제어 문자' }).waitFor(LIVE);
  await focused(page, '#customerAddr');
});

visitor('what cannot be read has a heading and a title that say so', { expected: STOPPED }, async ({ page }) => {
  await without('product', async () => {
    await page.goto('/products/3');
    await page.locator('h1', { hasText: '지금은 열 수 없어요' }).waitFor(LIVE);
    assert.match(await page.title(), /지금은 열 수 없어요/);
  });
  await page.locator('h1', { hasText: 'NOTEBOOK' }).waitFor({ timeout: 20_000 });
});

visitor('Enter in the search goes on to how many were found', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await page.fill('input[type="search"]', 'mask');
  await page.press('input[type="search"]', 'Enter');
  await page.locator('h1', { hasText: '찾은 상품 1개' }).waitFor(LIVE);
  await focused(page, 'h1');
});

visitor('where not even the words can be had there are a button and another try', { expected: ['404'] }, async ({ page }) => {
  const gone = '**/assets/{Product,Unreachable,told,forms,order,trouble}*.js';
  await page.clock.install();
  await page.route(gone, (route) => route.fulfill({ status: 404, headers: { 'Cache-Control': 'no-store' }, body: '' }));
  await page.goto('/products/3');
  // Loaded anew once, then told.
  await page.waitForFunction(() => sessionStorage.getItem('reloadedAt') !== null);
  await page.locator('h1', { hasText: '지금은 열 수 없어요' }).waitFor(LIVE);
  await page.getByRole('button', { name: '다시 시도' }).waitFor(LIVE);
  await focused(page, 'h1');
  let asked = 0;
  page.on('request', (request) => (asked += request.url().includes('Unreachable') ? 1 : 0));
  await page.getByRole('button', { name: '다시 시도' }).click();
  await page.waitForTimeout(500);
  assert.ok(asked >= 1, 'the button asks');
  assert.equal(await page.getByRole('button', { name: '다시 시도' }).count(), 1, 'and stays');
  await page.unroute(gone);
  await page.clock.fastForward(61_000);
  await page.locator('h1', { hasText: 'NOTEBOOK' }).waitFor(LIVE);
});

/** Texts of my page's table that lie over each other. */
const overlaps = (page) =>
  page.evaluate(() => {
    const boxes = [...document.querySelectorAll('#app table.orders :is(td, td .mark, td time, td a)')]
      .filter((it) => it.children.length === 0 && it.textContent.trim())
      .map((it) => {
        const range = document.createRange();
        range.selectNodeContents(it);
        return { text: it.textContent, ...range.getBoundingClientRect().toJSON() };
      });
    const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
    return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => over(a, b)).map((b) => `${a.text} over ${b.text}`));
  });

for (const locale of ['ko-KR', 'en-US']) {
  visitor(`the largest sum lies over nothing at any width, and when it was ordered always shows: ${locale}`, { locale }, async ({ page }) => {
    const { id: product } = await added({ name: 'VERY LARGE LAMP', price: 1_000_000_000, stock: 5_000 });
    await signIn(page, ...CUSTOMER);
    const id = await order(page, product, 1000);
    await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
    await page.goto('/mypage');
    await row(page, id).locator('.c-payment', { hasText: '1,000,000,000,000' }).waitFor(LIVE);
    for (const width of [320, 480, 640, 641, 768, 900, 1023, 1024, 1100, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      assert.deepEqual(await overlaps(page), [], `at ${width}`);
      const box = await row(page, id).locator('.c-placed').boundingBox();
      assert.ok(box && box.width > 0, `when it was ordered shows at ${width}`);
      const name = await row(page, id).locator('.c-product a').boundingBox();
      assert.ok(name.width >= 60, `the name has room at ${width}: ${name.width}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `scrolls sideways at ${width}`);
    }
  });
}

visitor('what gets the focus does not lie under the bar', { viewport: { width: 320, height: 400 } }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/3');
  const send = page.getByRole('button', { name: '주문하기' });
  await send.waitFor(LIVE);
  // How far it lies below the bar's lower edge: wholly under the bar where that is not positive.
  const below = () => page.evaluate(() => {
    const it = document.activeElement;
    return it.closest('form') ? it.getBoundingClientRect().bottom - document.querySelector('.bar').getBoundingClientRect().bottom : undefined;
  });
  await send.focus();
  // At once: a key's scrolling is drawn out, and would go on under what gets the focus meanwhile.
  await page.evaluate(() => window.scrollTo({ top: document.body.scrollHeight, behavior: 'instant' }));
  let looked = 0;
  for (;;) {
    await page.keyboard.press('Shift+Tab');
    const distance = await below();
    if (distance === undefined) break;
    assert.ok(distance > 0, `after ${looked + 1}: ${distance}`);
    looked += 1;
  }
  assert.ok(looked >= 4, `${looked}`);
});
