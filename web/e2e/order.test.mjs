// The page of one order: receipt, way with its times, cancelling, and who may see it.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, SECOND_CUSTOMER, order, picture, row, shop, signIn } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;
const STARTED = '.steps[data-delivery="DeliveryStarted"]';
const TICK_MS = 80;

for (const [lang, words] of [
  ['ko', { took: /^주문부터 배송 시작까지 \d+\.\d{3}초$/, title: '주문 ', receipt: ['번호', '한 개', '수량', '합계', '적립', '받는 분', '받는 곳'] }],
  ['en', { took: /^\d+\.\d{3} s from order to delivery started$/, title: 'Order ', receipt: ['number', 'Each', 'Quantity', 'Total', 'Mileage', 'Recipient', 'Deliver to'] }],
]) {
  visitor(`an order has a page with its receipt, its times and how long it took: ${lang}`, {}, async ({ page, context }) => {
    await context.addCookies([{ name: 'lang', value: lang, url: here.mall.url }]);
    await signIn(page, ...CUSTOMER);
    await page.click('.card a[href="/products/3"]');
    await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
    await page.fill('#quantity', '2');
    await page.fill('#customerAddr', '제주시 애월읍');
    await page.click('form .primary');
    await page.locator(STARTED).waitFor(LIVE);
    const id = await page.locator('.steps').getAttribute('data-order-id');
    assert.equal(new URL(page.url()).pathname, `/orders/${id}`);
    await page.locator('h1', { hasText: `${words.title}${id}` }).waitFor(LIVE);
    const took = await page.locator('.took').textContent();
    assert.match(took, words.took);
    const receipt = await page.locator('.receipt').innerText();
    for (const word of [...words.receipt, 'NOTEBOOK', '30,000', '60,000', '6,000', '유엔진', '제주시 애월읍']) assert.ok(receipt.includes(word), `${word} in ${receipt}`);
    await page.locator('.step.done time').nth(2).waitFor(LIVE);
    assert.equal(await page.locator('.step.done time').count(), 3);
    const times = await page.locator('.step time').evaluateAll((them) => them.map((it) => Date.parse(it.dateTime)));
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    assert.ok(took.includes(((times[2] - times[0]) / 1000).toFixed(3)), `${took}: ${times}`);
    await picture(page, `order-${lang}`);
    // The same after a reload, and Back leads past the form that was sent.
    await page.reload();
    await page.locator('.took', { hasText: took }).waitFor(LIVE);
    await page.goBack();
    await page.locator('.card[data-product-id]').first().waitFor(LIVE);
    assert.equal(new URL(page.url()).pathname, '/');
    await page.click('.bar a[href="/mypage"]');
    await row(page, id).locator('a').click();
    await page.locator('.took', { hasText: took }).waitFor(LIVE);
  });
}

visitor('the steps of an order that one watches fill far enough apart to be seen', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.click('.card a[href="/products/2"]');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await page.evaluate(() => {
    window.filled = [];
    new MutationObserver(() => {
      const done = document.querySelectorAll('.step.done').length;
      if (done > 0 && window.filled.at(-1)?.done !== done) window.filled.push({ done, at: performance.now() });
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await page.click('form .primary');
  await page.locator('.step.done').nth(2).waitFor(LIVE);
  const filled = await page.evaluate(() => window.filled);
  assert.deepEqual(filled.map((it) => it.done), [1, 2, 3]);
  // A timer may ring within a millisecond before its time by another clock.
  for (const [index, { at }] of filled.slice(1).entries()) assert.ok(at - filled[index].at >= TICK_MS - 1, JSON.stringify(filled));
});

visitor('the keyboard alone orders, looks at the order and cancels it, the safe answer first', {}, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await page.focus('#quantity');
  await page.keyboard.press('Enter');
  await page.locator(STARTED).waitFor(LIVE);
  const focused = (selector) => page.waitForFunction((it) => document.activeElement?.matches(it), selector);
  await focused('h1');
  const to = async (selector) => {
    for (let tabs = 0; tabs < 20; tabs += 1) {
      await page.keyboard.press('Tab');
      if (await page.evaluate((it) => document.activeElement?.matches(it), selector)) return;
    }
    assert.fail(`${selector} is not reached`);
  };
  await to('[data-cancel]');
  await page.keyboard.press('Enter');
  await focused('.answer button:last-child');
  await picture(page, 'order-asking');
  await page.keyboard.press('Escape');
  await focused('[data-cancel]');
  assert.equal(await page.locator('.steps').getAttribute('data-state'), 'OrderPlaced');
  await page.keyboard.press('Enter');
  await focused('.answer button:last-child');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.locator('.steps[data-state="OrderCancelled"][data-delivery="DeliveryCancelled"]').waitFor(LIVE);
  await focused('h2');
  await page.getByRole('status').getByText('취소 요청을 받아').waitFor(LIVE);
  assert.match(await page.locator('.receipt .struck').innerText(), /20,000/);
  await picture(page, 'order-cancelled-asked');
});

visitor('an order is shown to its customer alone, after signing in, and one that is not there is said', { expected: ['404', '401'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 2, 1);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  assert.equal((await page.goto(`/orders/${id}`)).status(), 401);
  const sign = async ([username, password]) => {
    await page.fill('#username', username);
    await page.fill('#password', password);
    await page.press('#password', 'Enter');
    await page.locator('#username').waitFor({ ...LIVE, state: 'detached' });
    assert.equal(new URL(page.url()).pathname, `/orders/${id}`);
  };
  await sign(SECOND_CUSTOMER);
  await page.getByRole('heading', { name: '이 주문은 찾을 수 없어요' }).waitFor(LIVE);
  assert.equal(await page.locator('.receipt').count(), 0);
  assert.equal((await page.goto('/orders/999999')).status(), 404);
  await page.getByRole('heading', { name: '이 주문은 찾을 수 없어요' }).waitFor(LIVE);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  assert.equal((await page.goto(`/orders/${id}`)).status(), 401);
  await sign(ADMINISTRATOR);
  await page.getByText('다른 분의 주문이라').waitFor(LIVE);
  await page.locator('.receipt', { hasText: '유엔진' }).waitFor(LIVE);
});

visitor('an order older than my page shows has its times too', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 2, 1);
  await page.locator(STARTED).waitFor(LIVE);
  const origin = new URL(page.url()).origin;
  for (let each = 0; each < 21; each += 1) {
    const answer = await context.request.post('/orders', { data: { productId: 5, quantity: 1 }, headers: { Origin: origin } });
    assert.equal(answer.status(), 201);
  }
  await page.goto(`/orders/${id}`);
  await page.locator('.took').waitFor(LIVE);
  assert.equal(await page.locator('.steps').getAttribute('data-order-id'), id);
});

visitor('an order that one sees is not lost while its service stands still', { expected: ['503', 'ERR_'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 2, 1);
  await page.locator(STARTED).waitFor(LIVE);
  await here.without('order', async () => {
    await page.goto(`/orders/${id}`);
    await page.locator('.took').waitFor(LIVE);
    await page.locator('.receipt', { hasText: '유엔진' }).waitFor(LIVE);
  });
});
