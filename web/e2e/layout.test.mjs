// How every screen is laid out: at every width, with ordinary and with large text, in both languages.
import assert from 'node:assert/strict';
import { everyLook, faults } from './layout.mjs';
import { ADMINISTRATOR, LIVE, order, row, SECOND_CUSTOMER, shop, signIn } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;
const LANGUAGES = ['ko', 'en'];

/** What is wrong with the page in any look, by what is shown. */
async function look(page, what, found) {
  await everyLook(page, async (width, size) => {
    for (const fault of await faults(page)) found.push(`${what} at ${width} px ${size}: ${fault}`);
    if (process.env.LOOK) {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await page.screenshot({ path: `${process.env.LOOK}/${what}-${width}-${size.slice(0, 3)}-${colorScheme}.png`, fullPage: true });
      }
    }
  });
}

async function speak(page, context, lang) {
  await context.addCookies([{ name: 'lang', value: lang, url: here.mall.url }]);
  await page.reload();
}

for (const lang of LANGUAGES) {
  visitor(`nothing of what a visitor sees is broken, cut off or under something: ${lang}`, { expected: ['400', '404'] }, async ({ page, context }) => {
    const found = [];
    await page.goto('/');
    await speak(page, context, lang);
    await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
    await look(page, `products-visitor-${lang}`, found);
    await page.fill('input[type="search"]', 'nothing like it');
    await page.locator('.empty').waitFor(LIVE);
    await page.evaluate(() => document.activeElement.blur());
    await look(page, `none-${lang}`, found);
    await page.goto('/products/3');
    await page.locator('#quantity').waitFor(LIVE);
    await page.fill('#quantity', '1.5');
    await look(page, `product-wrong-${lang}`, found);
    await page.goto('/signin');
    await page.fill('#username', 'nobody@example.com');
    await page.fill('#password', 'wrong password');
    await page.press('#password', 'Enter');
    await page.locator('#password-wrong').waitFor(LIVE);
    await look(page, `sign-in-${lang}`, found);
    await page.goto('/signup');
    await page.fill('#username', 'new');
    await page.press('#username', 'Enter');
    await page.locator('#address-wrong').waitFor(LIVE);
    await look(page, `sign-up-${lang}`, found);
    await page.goto('/nope');
    await page.locator('main input[type="search"]').waitFor(LIVE);
    await look(page, `not-found-${lang}`, found);
    assert.deepEqual(found, []);
  });

  visitor(`nothing of what a customer sees is broken, cut off or under something: ${lang}`, { expected: ['503', '409'] }, async ({ page, context }) => {
    const found = [];
    await signIn(page, ...SECOND_CUSTOMER);
    await speak(page, context, lang);
    for (const product of [1, 2, 3, 3, 3, 3, 3, 3, 3, 3]) await order(page, product, 1);
    await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
    await look(page, `order-done-${lang}`, found);
    const id = await order(page, 5, 999);
    await page.locator('.steps[data-state="OrderCancelled"]').waitFor(LIVE);
    await look(page, `order-cancelled-${lang}`, found);
    await page.goto('/products/4');
    await page.waitForFunction(() => document.querySelector('#customerName')?.value);
    await page.fill('#quantity', '999');
    await page.press('#quantity', 'Enter');
    await page.getByRole('alert').waitFor(LIVE);
    await look(page, `product-refused-${lang}`, found);
    await page.route('**/orders', (route) => route.fulfill({ status: 503, headers: { 'Retry-After': '28' }, contentType: 'application/problem+json', body: '{}' }));
    await page.fill('#quantity', '1000');
    await page.press('#quantity', 'Enter');
    await page.locator('.told.waiting button').waitFor(LIVE);
    await look(page, `product-waiting-${lang}`, found);
    await page.goto('/mypage');
    await page.locator('#app .mark.live').first().waitFor(LIVE);
    await row(page, id).waitFor(LIVE);
    await look(page, `my-page-${lang}`, found);
    await page.locator('table.orders .c-action button').first().click();
    await look(page, `my-page-asking-${lang}`, found);
    await page.goto('/signin');
    await page.locator('main .told').waitFor(LIVE);
    await look(page, `sign-in-already-${lang}`, found);
    assert.deepEqual(found, []);
  });

  visitor(`nothing of what an administrator sees is broken, cut off or under something: ${lang}`, { expected: ['503'] }, async ({ page, context }) => {
    const found = [];
    await signIn(page, ...ADMINISTRATOR);
    await speak(page, context, lang);
    await page.locator('.card button').nth(4).waitFor(LIVE);
    await look(page, `products-administrator-${lang}`, found);
    await page.click('.head .primary');
    await page.press('#name', 'Enter');
    await page.locator('#price-wrong').waitFor(LIVE);
    await page.fill('#imageUrl', 'pictures.example/a.png');
    await look(page, `register-${lang}`, found);
    await page.keyboard.press('Escape');
    await page.click('.card[data-product-id="3"] button');
    await page.fill('#price', '1000000000');
    await page.fill('#stock', '1000000000000');
    await page.locator('dialog .danger').click();
    await look(page, `edit-${lang}`, found);
    await page.keyboard.press('Escape');
    await page.route('**/products?*', (route) => route.fulfill({ status: 503, headers: { 'Retry-After': '28', 'Proxy-Status': 'yeoul; error=connection_refused' }, body: '{}' }));
    await page.reload();
    await page.locator('.unreachable button').waitFor(LIVE);
    await look(page, `products-down-${lang}`, found);
    assert.deepEqual(found, []);
  });
}

const LONG = { 'with blanks': 'Lamp of a very long name '.repeat(5).trim(), 'without blanks': 'LAMPofAveryLONGname'.repeat(7).slice(0, 120), 'in Korean': '아주 긴 이름의 등불 '.repeat(11).trim() };

for (const lang of LANGUAGES) {
  for (const [how, long] of Object.entries(LONG)) {
    visitor(`a name of 120 characters ${how} squeezes nothing and lies over nothing: ${lang}`, { expected: ['404', '412', 'ERR_FAILED'] }, async ({ page, context }) => {
      const found = [];
      const { id: product } = await here.asAdministrator('POST', '/products', { name: long, price: 1_000_000, stock: 5_000 });
      const name = `long-${how.split(' ')[0]}`;
      await page.goto('/');
      await speak(page, context, lang);
      await page.fill('input[type="search"]', long);
      await page.locator('.card[data-product-id]').nth(1).waitFor({ state: 'detached' });
      await look(page, `${name}-search-${lang}`, found);
      await page.fill('input[type="search"]', `${long} x`);
      await page.locator('.empty').waitFor(LIVE);
      await look(page, `${name}-none-${lang}`, found);
      const nickname = long.slice(0, 100);
      const username = `${lang}-${how.replaceAll(' ', '-')}@example.com`;
      await page.goto('/signup');
      for (const [field, value] of Object.entries({ username, password: 'eight or more', nickname, address: long })) await page.fill(`#${field}`, value);
      await page.press('#address', 'Enter');
      await page.waitForURL((url) => url.pathname === '/');
      await page.locator(`.card[data-product-id="${product}"]`).waitFor(LIVE);
      await look(page, `${name}-products-${lang}`, found);
      const id = await order(page, product, 1000);
      await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
      await look(page, `${name}-order-done-${lang}`, found);
      await page.locator('section .row a[href^="/products/"]').click();
      await page.locator('#quantity').waitFor(LIVE);
      await page.fill('#quantity', '1000');
      await look(page, `${name}-product-${lang}`, found);
      await page.goto('/mypage');
      await page.locator('#app .mark.live').first().waitFor(LIVE);
      await look(page, `${name}-my-page-${lang}`, found);
      await row(page, id).getByRole('button').click();
      await look(page, `${name}-my-page-asking-${lang}`, found);
      // As it is printed, before any script has run.
      await page.route('**/assets/*.js', (route) => route.abort());
      await page.goto('/mypage');
      await page.locator('#static tr').first().waitFor();
      await look(page, `${name}-printed-${lang}`, found);
      await page.unroute('**/assets/*.js');
      await page.goto('/signin');
      await page.locator('main .told').waitFor(LIVE);
      await look(page, `${name}-already-${lang}`, found);
      await page.getByRole('button').last().waitFor();
      await signIn(page, ...ADMINISTRATOR);
      const card = page.locator(`.card[data-product-id="${product}"]`);
      await card.getByRole('button').waitFor(LIVE);
      await look(page, `${name}-administrator-${lang}`, found);
      const read = page.waitForResponse((it) => it.url().endsWith(`/products/${product}`) && it.ok());
      await card.getByRole('button').click();
      await read;
      await page.fill('#name', `${long} 2`);
      await page.locator('dialog .danger').click();
      await look(page, `${name}-edit-${lang}`, found);
      await here.asAdministrator('PATCH', `/products/${product}`, { name: `${long} 3` });
      await page.press('#name', 'Enter');
      await page.locator('dialog [role="alert"]').waitFor(LIVE);
      await look(page, `${name}-changed-${lang}`, found);
      await here.asAdministrator('DELETE', `/products/${product}`);
      assert.deepEqual(found, []);
    });
  }
}
