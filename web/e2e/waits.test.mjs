// What is said while nothing is answered, of what was begun and left, and of what is not all known.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, row, shop, signIn } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;
const SLOW = { timeout: 25_000 };

const edit = (page, id) => page.locator(`.card[data-product-id="${id}"]`).getByRole('button', { name: '수정' });

async function open(page, id) {
  await edit(page, id).click();
  await page.locator('dialog #price').waitFor(LIVE);
}

/** A mall that takes what is sent and says nothing, until `answer` is called. */
async function silent(page, path, method) {
  const keys = [];
  let answers = false;
  await page.route(path, async (route) => {
    const request = route.request();
    if (request.method() !== method || request.resourceType() === 'document') return route.fallback();
    keys.push(request.headers()['idempotency-key']);
    if (answers) await route.continue();
  });
  return { keys, answer: () => (answers = true) };
}

visitor('an edit that was left is forgotten, however it was left', {}, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  for (const leave of [() => page.keyboard.press('Escape'), () => page.getByRole('button', { name: '닫기' }).click()]) {
    await open(page, 1);
    const price = await page.inputValue('#price');
    await page.fill('#price', '1');
    await leave();
    await page.locator('dialog').waitFor({ state: 'detached' });
    await open(page, 1);
    assert.equal(await page.inputValue('#price'), price);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
  }
});

visitor('what is filled in again after a reload says so, beside what is there, and can be dropped', {}, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  await open(page, 1);
  const price = await page.inputValue('#price');
  await page.fill('#price', '1');
  await page.reload();
  await page.locator('dialog #price').waitFor(LIVE);
  assert.equal(await page.inputValue('#price'), '1');
  const said = page.locator('dialog .told', { hasText: '적다 만 것' });
  await said.getByText(`지금: ${price}`).waitFor(LIVE);
  await said.getByRole('button', { name: '적은 것 버리기' }).click();
  await said.waitFor({ state: 'detached' });
  assert.equal(await page.inputValue('#price'), price);
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'name');
  await page.reload();
  await page.locator('dialog #price').waitFor(LIVE);
  assert.equal(await page.inputValue('#price'), price);
  assert.equal(await said.count(), 0);
});

visitor('the bar says that more orders are under way than it has seen', {}, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  const origin = new URL(page.url()).origin;
  for (let each = 0; each < 25; each += 1) {
    const answer = await context.request.post('/orders', { data: { productId: 5, quantity: 1 }, headers: { Origin: origin } });
    assert.equal(answer.status(), 201);
  }
  await page.goto('/');
  await page.locator('.bar .count', { hasText: /^20\+$/ }).waitFor(LIVE);
  await page.getByText('진행 중인 주문 20건 이상').waitFor({ state: 'attached' });
  await page.goto('/mypage');
  await page.getByRole('button', { name: '이전 주문' }).click();
  await page.locator('.bar .count', { hasText: /^25$/ }).waitFor(LIVE);
});

visitor('an order that nobody answers is said to take long, and is sent again as the same', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  const { keys, answer } = await silent(page, '**/orders', 'POST');
  await page.click('form .primary');
  await page.getByText('답이 늦어지고 있어요').waitFor(LIVE);
  answer();
  await page.getByText('초 뒤 다시').waitFor(SLOW);
  await page.locator('.steps[data-order-id]').waitFor(LIVE);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
});

visitor('a cancellation that nobody answers is said to take long', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/mypage');
  await silent(page, '**/orders/*', 'PATCH');
  const first = row(page, await page.locator('table.orders tr[data-order-id]').first().getAttribute('data-order-id'));
  await first.getByRole('button', { name: '취소' }).click();
  await page.getByRole('button', { name: '주문 취소' }).click();
  await page.getByText('답이 늦어지고 있어요').waitFor(LIVE);
});

visitor('the catalogue of before is shown, with its time, while the list takes long', {}, async ({ page }) => {
  await page.goto('/');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  const { answer } = await silent(page, '**/products?*', 'GET');
  await page.goto('/');
  await page.getByText('에 본 모습이에요').waitFor(LIVE);
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  answer();
  await page.getByText('에 본 모습이에요').waitFor({ state: 'detached', timeout: 40_000 });
});

visitor('a form whose reader cannot be read says so', { expected: ['503'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await here.without('account', async () => {
    await page.goto('/products/2');
    await page.getByText('회원 정보를 지금은 읽을 수 없어요').waitFor(LIVE);
    await page.click('form .primary');
    await page.locator('#customerName-wrong').waitFor(LIVE);
  });
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진', undefined, LIVE);
  await page.getByText('회원 정보를 지금은').waitFor({ state: 'detached' });
});
