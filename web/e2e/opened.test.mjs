// A form that a session's end, or a reload, has closed opens again for whoever had it open.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, shop, signIn } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;
const HALF = 'HALF A NAME';
const EDIT = { ko: '수정', en: 'Edit' };

const edit = (page, id, lang = 'ko') => page.locator(`.card[data-product-id="${id}"]`).getByRole('button', { name: EDIT[lang] });
const dialog = (page) => page.locator('dialog[open]');

/** Whatever else is kept, nobody is signed in any more. */
async function endSession(context) {
  const kept = (await context.cookies()).filter((it) => it.name === 'lang');
  await context.clearCookies();
  await context.addCookies(kept);
}

async function signInHere(page, [username, password]) {
  await page.fill('#username', username);
  await page.fill('#password', password);
  await page.press('#password', 'Enter');
  await page.waitForURL((url) => url.pathname === '/');
  await page.locator('.bar a[href="/mypage"]').waitFor(LIVE);
}

/** The form is open by itself, with what was typed, and the field called `name` has the focus. */
async function expectOpened(page, typed, name) {
  await dialog(page).waitFor(LIVE);
  for (const [field, text] of Object.entries(typed)) assert.equal(await page.inputValue(field), text);
  await page.waitForFunction((name) => document.activeElement?.getAttribute('name') === name, name, LIVE);
}

for (const lang of ['ko', 'en']) {
  visitor(`a form whose session ended while it was filled opens again with what was typed, where one was: ${lang}`, { expected: ['401'], locale: lang }, async ({ page, context }) => {
    await signIn(page, ...ADMINISTRATOR);
    await edit(page, 5, lang).click();
    await page.fill('#name', HALF);
    await page.fill('#price', '777');
    await endSession(context);
    await page.press('#price', 'Enter');
    await page.waitForURL('**/signin**');
    await signInHere(page, ADMINISTRATOR);
    await expectOpened(page, { '#name': HALF, '#price': '777' }, 'price');
    await dialog(page).getByText(lang === 'ko' ? '적다 만 것' : 'begun to write').waitFor(LIVE);
    // It is what it was: it can be saved, or closed for good.
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'detached' });
    await page.reload();
    await edit(page, 5, lang).waitFor(LIVE);
    await page.waitForTimeout(500);
    assert.equal(await dialog(page).count(), 0);
  });
}

visitor('a form for a new product opens again too, and one in which nothing was typed yet', { expected: ['401'] }, async ({ page, context }) => {
  await signIn(page, ...ADMINISTRATOR);
  await page.getByRole('button', { name: '상품 등록' }).click();
  await page.fill('#name', HALF);
  await page.getByLabel('주문을 바로 거절').check();
  await endSession(context);
  // Noticed by a read, after which nobody is asked anything.
  await page.reload();
  await page.getByRole('link', { name: '로그인' }).click();
  assert.equal(await dialog(page).count(), 0);
  await signInHere(page, ADMINISTRATOR);
  await expectOpened(page, { '#name': HALF }, 'stockPolicy');
  assert.equal(await page.getByLabel('주문을 바로 거절').isChecked(), true);
  await page.keyboard.press('Escape');
  await edit(page, 4).click();
  await page.focus('#stock');
  await page.getByRole('button', { name: '상품 삭제' }).click();
  await endSession(context);
  await page.getByRole('button', { name: '삭제', exact: true }).click();
  await page.waitForURL('**/signin**');
  await signInHere(page, ADMINISTRATOR);
  await expectOpened(page, { '#name': 'TABLE' }, 'stock');
});

visitor('a reload opens the form again where one was', {}, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  await edit(page, 3).click();
  await page.fill('#imageUrl', '/half');
  await page.reload();
  await expectOpened(page, { '#imageUrl': '/half' }, 'imageUrl');
  // It was opened from nowhere: the focus goes on to the heading.
  await page.keyboard.press('Escape');
  await dialog(page).waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement?.localName === 'h1', undefined, LIVE);
});

visitor('nobody else finds the form open, or anything of what was typed', { expected: ['401', '403'] }, async ({ page, context }) => {
  await signIn(page, ...ADMINISTRATOR);
  await edit(page, 5).click();
  await page.fill('#name', HALF);
  await endSession(context);
  await page.press('#name', 'Enter');
  await page.waitForURL('**/signin**');
  await signInHere(page, CUSTOMER);
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await page.waitForTimeout(1_000);
  assert.equal(await page.locator('dialog').count(), 0);
  assert.equal(await page.getByText(HALF).count(), 0);
  // Nor is it there after one has signed out: whoever leaves takes it along.
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).click();
  await signInHere(page, ADMINISTRATOR);
  await edit(page, 5).waitFor(LIVE);
  await page.waitForTimeout(500);
  assert.equal(await page.locator('dialog').count(), 0);
});

visitor('a form that one has left for another screen stays left', {}, async ({ page }) => {
  await signIn(page, ...ADMINISTRATOR);
  await page.click('.card a[href="/products/5"]');
  await page.locator('#quantity').waitFor(LIVE);
  await page.click('.brand');
  await edit(page, 5).click();
  await page.fill('#name', HALF);
  await page.goBack();
  await page.locator('#quantity').waitFor(LIVE);
  await page.click('.brand');
  await edit(page, 5).waitFor(LIVE);
  await page.waitForTimeout(500);
  assert.equal(await page.locator('dialog').count(), 0);
});
