// What is written into a form is taken as it is written or refused in words, and what two people change
// at once is never written over unseen.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, order, picture, row, shop, signIn, visit } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;

/** What is no number of pieces, and could be taken for one by whoever drops what does not fit. */
const NO_NUMBERS = ['1.5', '-3', '+3', '1e3', '１２', '0x10', '1,000', '1 2', '12개', '٣', ''];

/** Writes of the page, by method. */
const writesOf = (page) => {
  const writes = [];
  page.on('request', (it) => it.method() !== 'GET' && writes.push(it));
  return writes;
};

/** As if it had come from the clipboard, whatever the field would take of it by itself. */
async function paste(page, field, text) {
  await page.locator(field).selectText();
  await page.locator(field).evaluate((_, text) => document.execCommand('insertText', false, text), text);
}

/** Does as an administrator at another place does. */
async function elsewhere(method, path, json) {
  const guest = await visit(here.browser, here.mall, {});
  await signIn(guest.page, ...ADMINISTRATOR);
  const answer = await guest.page.evaluate(
    async ([method, path, json]) => {
      const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
      const it = await fetch(path, { method, headers, body: json && JSON.stringify(json) });
      return { status: it.status, body: await it.json().catch(() => undefined) };
    },
    [method, path, json],
  );
  await guest.end();
  return answer;
}

async function changeElsewhere(id, fields) {
  assert.equal((await elsewhere('PATCH', `/products/${id}`, fields)).status, 200);
}

/** Opens a product's form; it has read the product then. */
async function open(page, id) {
  const read = page.waitForResponse((it) => it.url().endsWith(`/products/${id}`) && it.ok());
  await page.locator(`.card[data-product-id="${id}"]`).getByRole('button', { name: '수정' }).click();
  await read;
}

const productNow = async (page, id) =>
  page.evaluate(async (id) => (await fetch(`/products/${id}`, { headers: { Accept: 'application/json' } })).json(), id);

visitor('a quantity that is no number is said while it is written, and never sent as another', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  const writes = writesOf(page);
  const said = page.locator('#quantity-wrong').getByText('1개에서 1000개까지');
  for (const wrong of [...NO_NUMBERS, '0', '1001', '1000001', '99999999999999999999']) {
    await page.fill('#quantity', '2');
    await said.waitFor({ state: 'detached' });
    await page.fill('#quantity', wrong);
    if (wrong) await said.waitFor(LIVE);
    assert.equal(await page.inputValue('#quantity'), wrong);
    await page.press('#quantity', 'Enter');
    await said.waitFor(LIVE);
    assert.equal(await page.getAttribute('#quantity', 'aria-invalid'), 'true');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'quantity');
    assert.equal(await page.locator('.sum').innerText(), '–');
  }
  await paste(page, '#quantity', '1.5');
  assert.equal(await page.inputValue('#quantity'), '1.5');
  await said.waitFor(LIVE);
  await page.keyboard.press('Enter');
  // The buttons begin from what is a number again.
  await page.getByRole('button', { name: '하나 늘리기' }).click();
  assert.equal(await page.inputValue('#quantity'), '1');
  await page.press('#quantity', 'ArrowUp');
  assert.equal(await page.inputValue('#quantity'), '2');
  await said.waitFor({ state: 'detached' });
  assert.equal(writes.length, 0);
  await page.fill('#quantity', ' 3 ');
  await page.press('#quantity', 'Enter');
  await page.locator('.steps[data-order-id]').waitFor(LIVE);
  assert.equal(writes[0].postDataJSON().quantity, 3);
});

visitor('a quantity in the address is digits or one', {}, async ({ page }) => {
  for (const [written, shown] of [['1e3', '1'], ['1.5', '1'], ['0x10', '1'], ['12', '12']]) {
    await page.goto(`/products/2?quantity=${written}`);
    await page.locator('#quantity').waitFor(LIVE);
    assert.equal(await page.inputValue('#quantity'), shown);
  }
});

visitor('a quantity that was not sent is still as it was written after a reload', {}, async ({ page }) => {
  await page.goto('/products/2');
  await page.fill('#quantity', '1.5');
  await page.reload();
  await page.locator('#quantity-wrong').waitFor(LIVE);
  assert.equal(await page.inputValue('#quantity'), '1.5');
});

visitor('a price or a stock that is no number is said while it is written, and never sent as another', {}, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  const writes = writesOf(page);
  const forms = [() => page.getByRole('button', { name: '상품 등록' }).click(), () => page.locator('.card[data-product-id="5"]').getByRole('button', { name: '수정' }).click()];
  for (const form of forms) {
    await form();
    await page.fill('#name', '새 상품');
    for (const [field, other, most, bound] of [['#price', '#stock', 1_000_000_001, '1,000,000,000'], ['#stock', '#price', 1_000_000_000_001, '1,000,000,000,000']]) {
      await page.fill(other, '10');
      for (const wrong of [...NO_NUMBERS, String(most)]) {
        await page.fill(field, wrong);
        const said = page.locator(`${field}-wrong`).getByText(`0에서 ${bound}까지`);
        if (wrong) await said.waitFor(LIVE);
        await page.press(field, 'Enter');
        await said.waitFor(LIVE);
        assert.equal(await page.inputValue(field), wrong);
        assert.equal(await page.evaluate(() => document.activeElement?.id), field.slice(1));
      }
      await paste(page, field, '1.5');
      await page.locator(`${field}-wrong`).waitFor(LIVE);
      assert.equal(await page.inputValue(field), '1.5');
      await page.fill(field, '10');
    }
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
  }
  assert.equal(writes.length, 0);
});

visitor('a text that is too long is said and not cut off', {}, async ({ page }) => {
  await page.goto('/signup');
  const writes = writesOf(page);
  for (const [field, max] of [['#nickname', 100], ['#address', 500]]) {
    await paste(page, field, '가'.repeat(max + 1));
    await page.locator(`${field}-wrong`).getByText(`${max}자까지`).waitFor(LIVE);
    assert.equal((await page.inputValue(field)).length, max + 1);
    await page.press(field, 'Enter');
    await paste(page, field, '가'.repeat(max));
    await page.locator(`${field}-wrong`).waitFor({ state: 'detached' });
  }
  await paste(page, '#password', 'p'.repeat(600));
  assert.equal((await page.inputValue('#password')).length, 600);
  await page.press('#password', 'Enter');
  await page.locator('#password-wrong').waitFor(LIVE);
  assert.equal(writes.length, 0);
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  writes.length = 0;
  for (const [field, max] of [['#customerName', 200], ['#customerAddr', 500]]) {
    await paste(page, field, '가'.repeat(max + 1));
    await page.press(field, 'Enter');
    await page.locator(`${field}-wrong`).getByText(`${max}자까지`).waitFor(LIVE);
    await page.fill(field, '유엔진');
  }
  assert.equal(writes.length, 0);
});

visitor('two administrators who change the same product see each other’s change before one is written over', { expected: ['412'] }, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  const { price } = await productNow(page, 5);
  const writes = writesOf(page);
  await open(page, 5);
  await page.fill('#price', String(price + 1_000));
  await changeElsewhere(5, { price: price + 7_000 });
  await page.press('#price', 'Enter');
  const alert = page.locator('dialog .told');
  await alert.getByText('다른 분이 이 상품을 바꿨어요').waitFor(LIVE);
  await alert.getByText(`지금: ${price + 7_000}`).waitFor();
  await alert.getByText(`적으신 것: ${price + 1_000}`).waitFor();
  assert.equal(await page.inputValue('#price'), String(price + 1_000));
  assert.equal(await page.evaluate(() => document.activeElement?.className), 'told');
  assert.equal((await productNow(page, 5)).price, price + 7_000);
  assert.match(writes[0].headers()['if-match'], /^"/);
  await picture(page, 'changed-by-others', { dark: false });
  // And once more, by whom nobody expected.
  await changeElsewhere(5, { name: 'CLOCK by another' });
  await page.press('#price', 'Enter');
  await alert.getByText('지금: CLOCK by another').waitFor(LIVE);
  assert.equal(await page.inputValue('#name'), 'CLOCK by another');
  await page.press('#price', 'Enter');
  await page.locator('dialog').waitFor({ state: 'detached' });
  const now = await productNow(page, 5);
  assert.deepEqual([now.name, now.price], ['CLOCK by another', price + 1_000]);
  await changeElsewhere(5, { name: 'CLOCK', price });
});

visitor('a product whose stock moves is changed without a question, unless stock was typed', { expected: ['412'] }, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  const { price, stock } = await productNow(page, 2);
  await open(page, 2);
  await page.fill('#price', String(price + 1));
  await changeElsewhere(2, { stock: stock - 1 });
  await page.press('#price', 'Enter');
  await page.locator('dialog').waitFor({ state: 'detached' });
  const first = await productNow(page, 2);
  assert.deepEqual([first.price, first.stock], [price + 1, stock - 1]);
  await open(page, 2);
  await page.fill('#stock', '500');
  await changeElsewhere(2, { stock: stock - 2 });
  await page.press('#stock', 'Enter');
  await page.locator('dialog .told').getByText(`지금: ${stock - 2}`).waitFor(LIVE);
  assert.equal((await productNow(page, 2)).stock, stock - 2);
  await page.keyboard.press('Escape');
  await changeElsewhere(2, { price, stock });
});

visitor('a product that somebody else has changed is not deleted unseen', { expected: ['412'] }, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  const { status, body } = await elsewhere('POST', '/products', { name: 'PASSING', price: 5, stock: 1 });
  assert.equal(status, 201);
  await page.reload();
  await open(page, body.id);
  await changeElsewhere(body.id, { price: 6 });
  const remove = async () => {
    await page.getByRole('button', { name: '상품 삭제' }).click();
    await page.getByRole('button', { name: '삭제', exact: true }).click();
  };
  await remove();
  await page.locator('dialog .told').getByText('지금: 6').waitFor(LIVE);
  assert.equal((await productNow(page, body.id)).price, 6);
  await page.getByRole('button', { name: '삭제', exact: true }).click();
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.locator(`.card[data-product-id="${body.id}"]`).waitFor({ state: 'detached' });
});

visitor('what was typed before a session ended meets what was changed until it is sent', { expected: ['401', '412'] }, async ({ page, context }) => {
  await signIn(page, ...ADMINISTRATOR);
  const { price } = await productNow(page, 4);
  await open(page, 4);
  await page.fill('#price', String(price + 10));
  await context.clearCookies();
  await page.press('#price', 'Enter');
  await page.waitForURL('**/signin**');
  await changeElsewhere(4, { price: price + 20 });
  await page.fill('#username', ADMINISTRATOR[0]);
  await page.fill('#password', ADMINISTRATOR[1]);
  await page.press('#password', 'Enter');
  await page.locator('dialog .told').getByText(`지금: ${price + 20}`).waitFor(LIVE);
  assert.equal(await page.inputValue('#price'), String(price + 10));
  assert.equal((await productNow(page, 4)).price, price + 20);
  await page.keyboard.press('Escape');
  await changeElsewhere(4, { price });
});

visitor('an order that was cancelled elsewhere meanwhile is said, and one that only went on is cancelled', { expected: ['412', 'ERR_FAILED'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const first = await order(page, 2, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  const second = await order(page, 2, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  // The page does not hear of it.
  await page.route('**/events?*', (route) => route.abort());
  await page.goto('/mypage');
  const writes = writesOf(page);
  const ask = async (id) => {
    const read = page.waitForResponse((it) => it.url().endsWith(`/orders/${id}`));
    await row(page, id).getByRole('button', { name: '취소' }).click();
    await read;
  };
  await ask(first);
  assert.equal((await elsewhere('PATCH', `/orders/${first}`, { state: 'OrderCancelled' })).status, 200);
  await page.getByRole('button', { name: '주문 취소' }).click();
  await page.getByRole('alert').getByText('‘주문 완료’에서 ‘취소 됨’').waitFor(LIVE);
  assert.match(writes[0].headers()['if-match'], /^"/);
  await ask(second);
  await page.getByRole('button', { name: '주문 취소' }).click();
  await row(page, second).and(page.locator('[data-state="OrderCancelled"]')).waitFor(LIVE);
});
