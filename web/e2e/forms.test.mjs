// What is typed, asked and refused: prices, focus, words, and text that is not lost.
import assert from 'node:assert/strict';
import { ADMINISTRATOR, CUSTOMER, LIVE, order, picture, row, SECOND_CUSTOMER, shop, signIn, visit } from './start.mjs';

const here = shop({ faults: true });
const { visitor } = here;

const focused = (page) =>
  page.evaluate(() => {
    const { localName, id, className } = document.activeElement ?? {};
    return [localName, id || className].filter(Boolean).join(' ');
  });

/** Changes a product as an administrator elsewhere does. */
async function change(id, fields) {
  const guest = await visit(here.browser, here.mall, {});
  await signIn(guest.page, ...ADMINISTRATOR);
  const status = await guest.page.evaluate(
    async ([id, fields]) =>
      (
        await fetch(`/products/${id}`, {
          method: 'PATCH',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify(fields),
        })
      ).status,
    [id, fields],
  );
  assert.equal(status, 200);
  await guest.end();
}

visitor('a price that changed is asked about with both prices and never charged silently', { expected: ['409', 'ERR_FAILED'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  // The page does not hear of it.
  await page.route('**/products?*', (route) => route.abort());
  await change(2, { price: 23_000 });
  const answers = [];
  page.on('response', (it) => it.request().method() === 'POST' && it.url().endsWith('/orders') && answers.push(it));
  await page.click('form .primary');
  await page.getByRole('alert').getByText('20,000원에서 23,000원으로').waitFor(LIVE);
  assert.equal(answers.length, 1);
  assert.equal(answers[0].status(), 409);
  assert.equal(await focused(page), 'p told');
  await picture(page, 'price-changed', { dark: false });
  await page.unroute('**/products?*');
  await page.click('form .primary');
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  assert.equal(answers.at(-1).status(), 201);
  assert.equal((await answers.at(-1).json()).price, 23_000);
  await change(2, { price: 20_000 });
});

for (const [locale, words, price] of [['ko', '40,000원에서 39,000원으로', 39_000], ['en', 'from ₩39,000 to ₩43,000', 43_000]]) {
  visitor(`a price that only the refusal tells is the one that is agreed to, though the products cannot be read: ${locale}`, { locale, expected: ['409', 'ERR_FAILED'] }, async ({ page }) => {
    await signIn(page, ...CUSTOMER);
    await page.goto('/products/4');
    await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
    await page.route(/\/products(\?|\/4$)/, (route) => route.abort());
    await change(4, { price });
    const answers = [];
    page.on('response', (it) => it.request().method() === 'POST' && it.url().endsWith('/orders') && answers.push(it.status()));
    await page.click('form.form .primary');
    await page.getByRole('alert').getByText(words).waitFor(LIVE);
    await page.locator('.product-price', { hasText: price.toLocaleString('en') }).waitFor(LIVE);
    await page.click('form.form .primary');
    await page.locator('.steps[data-order-id]').waitFor(LIVE);
    assert.deepEqual(answers, [409, 201]);
  });
}

visitor('a price that changes before one’s eyes is pointed out and asked about', { expected: [] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/3');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  await change(3, { price: 31_000 });
  await page.getByText('30,000원에서 바뀐 가격').waitFor({ timeout: 15_000 });
  let orders = 0;
  page.on('request', (it) => (orders += it.method() === 'POST' ? 1 : 0));
  await page.click('form .primary');
  await page.getByRole('alert').getByText('30,000원에서 31,000원으로').waitFor(LIVE);
  assert.equal(orders, 0);
  await page.click('form .primary');
  await page.locator('.steps[data-order-id]').waitFor(LIVE);
  await change(3, { price: 30_000 });
});

visitor('the focus stays where something is happening', { expected: ['409'] }, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  await page.goto('/products/4');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await page.fill('#quantity', '999');
  await page.press('#quantity', 'Enter');
  await page.getByRole('alert').waitFor(LIVE);
  await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'alert');
  await page.fill('#quantity', '1');
  await page.press('#quantity', 'Enter');
  await page.locator('.steps[data-order-id]').waitFor(LIVE);
  await page.waitForFunction(() => document.activeElement?.localName === 'h1' && document.activeElement.textContent.startsWith('주문 '));
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  const id = await page.locator('.steps').getAttribute('data-order-id');
  await page.getByRole('link', { name: '하나 더 주문하기' }).press('Enter');
  await page.waitForFunction(() => document.activeElement?.localName === 'h1' && document.activeElement.textContent === 'TABLE');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await page.fill('#customerName', ' ');
  await page.press('#customerName', 'Enter');
  await page.locator('#customerName[aria-invalid]').waitFor(LIVE);
  assert.equal(await focused(page), 'input customerName');
  const note = await page.getAttribute('#customerName', 'aria-describedby');
  assert.equal(await page.locator(`#${note}`).getAttribute('role'), 'alert');
  await page.goto('/mypage');
  await row(page, id).getByRole('button', { name: '취소' }).press('Enter');
  await page.getByRole('button', { name: '주문 취소' }).press('Enter');
  assert.equal(await focused(page), 'td c-state');
  await row(page, id).and(page.locator('[data-state="OrderCancelled"]')).waitFor(LIVE);
  assert.equal(await focused(page), 'td c-state');
});

visitor('a quantity out of range is said and not made to fit', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  let orders = 0;
  page.on('request', (it) => (orders += it.method() === 'POST' ? 1 : 0));
  for (const wrong of ['0', '1001', '']) {
    await page.fill('#quantity', wrong);
    await page.press('#quantity', 'Enter');
    await page.getByRole('alert').getByText('1개에서 1000개까지').waitFor(LIVE);
    assert.equal(await focused(page), 'input quantity');
  }
  assert.equal(orders, 0);
  // A button that has come to its end leaves the focus to the number.
  await page.fill('#quantity', '2');
  await page.getByRole('button', { name: '하나 줄이기' }).press('Enter');
  assert.equal(await page.inputValue('#quantity'), '1');
  assert.equal(await focused(page), 'input quantity');
});

visitor('a button that goes leaves the focus to what comes', { expected: ['503'] }, async ({ page }) => {
  await page.route('**/products?*', (route) =>
    route.fulfill({ status: 503, headers: { 'Retry-After': '9', 'Proxy-Status': 'yeoul; error=connection_refused' }, body: '{}' }),
  );
  await page.goto('/');
  await page.getByRole('button', { name: '그만두기' }).press('Enter');
  await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'alert');
  await page.unroute('**/products?*');
  await page.getByRole('button', { name: '다시 시도' }).press('Enter');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  await page.waitForFunction(() => document.activeElement?.localName === 'h1');
});

visitor('a wrong field is said and focused wherever one signs in, up or registers', { expected: ['400', '409'] }, async ({ page }) => {
  await page.goto('/signin');
  await page.fill('#username', 'nobody@example.com');
  await page.fill('#password', 'wrong password');
  await page.press('#username', 'Enter');
  await page.getByRole('alert').getByText('맞지 않아요').waitFor(LIVE);
  await page.waitForFunction(() => document.activeElement?.id === 'password');
  await page.goto('/signup');
  await page.fill('#username', 'new@example.com');
  await page.press('#username', 'Enter');
  await page.waitForFunction(() => document.activeElement?.id === 'password');
  await page.fill('#username', CUSTOMER[0]);
  await page.fill('#password', 'eight or more');
  await page.fill('#nickname', '새봄');
  await page.fill('#address', '부산시');
  await page.press('#address', 'Enter');
  await page.getByRole('alert').getByText('이미 가입한').waitFor(LIVE);
  await page.waitForFunction(() => document.activeElement?.id === 'username');
});

visitor('the count-down is not spoken every second', { expected: ['503'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  await page.route('**/orders', (route) =>
    route.fulfill({ status: 503, headers: { 'Retry-After': '4' }, contentType: 'application/problem+json', body: '{}' }),
  );
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await page.click('form .primary');
  await page.getByText('지금 주문이 많아요. 4초 뒤').waitFor(LIVE);
  await page.evaluate(() => {
    window.spoken = 0;
    for (const region of document.querySelectorAll('[role="status"], [role="alert"], [aria-live]')) {
      new MutationObserver((records) => (window.spoken += records.length)).observe(region, {
        subtree: true,
        childList: true,
        characterData: true,
      });
    }
  });
  await page.getByText('1초 뒤').waitFor(LIVE);
  assert.equal(await page.evaluate(() => window.spoken), 0);
  await page.getByRole('button', { name: '그만두기' }).click();
  await page.getByRole('alert').getByText('다시 시도하지 않고 멈췄어요').waitFor(LIVE);
  assert.equal(await page.getByText('여러 번 시도').count(), 0);
});

visitor('everything in the bar has a name at every width', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  for (const width of [320, 360, 767, 768, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    await page.getByRole('link', { name: '마이페이지' }).waitFor();
    await page.goto('/mypage');
    await page.getByRole('link', { name: '마이페이지' }).waitFor();
    for (const item of await page.locator('.bar a, .bar button, .bar input').all()) {
      const name = await item.evaluate((it) => it.getAttribute('aria-label') || it.innerText || it.textContent);
      assert.ok(name.trim(), await item.innerHTML());
    }
  }
});

visitor('nothing overflows at 320 px or with text at 200 %', {}, async ({ page, context }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  const id = await order(page, 1, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  const look = async (what) => {
    for (const [width, size] of [[320, ''], [360, '200%'], [320, '200%'], [768, '200%'], [1280, '200%']]) {
      await page.setViewportSize({ width, height: 800 });
      await page.evaluate((size) => (document.documentElement.style.fontSize = size), size);
      const over = await page.evaluate(() => {
        const wide = document.documentElement.clientWidth;
        const out = [...document.querySelectorAll('body *')].filter((it) => {
          const { left, right, width } = it.getBoundingClientRect();
          return width > 0 && !it.closest('.skip, thead') && (right > wide + 1 || left < -1);
        });
        return [document.documentElement.scrollWidth - wide, ...out.map((it) => it.outerHTML.slice(0, 80))];
      });
      assert.deepEqual(over, [0], `${what} at ${width} px ${size}`);
      await page.screenshot({ path: `${process.env.ARTEFACTS ?? '../test-artefacts'}/large-${what}-${width}-${size || 'normal'}.png`, fullPage: true });
    }
    await page.evaluate(() => (document.documentElement.style.fontSize = ''));
  };
  for (const lang of ['ko', 'en']) {
    await context.addCookies([{ name: 'lang', value: lang, url: here.mall.url }]);
    await page.goto('/');
    await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
    await look(`products-${lang}`);
    await page.goto('/products/1');
    await page.waitForFunction(() => document.querySelector('#customerName')?.value);
    await look(`product-${lang}`);
    await page.goto('/mypage');
    await page.locator('#app .mark.live').first().waitFor(LIVE);
    await look(`my-page-${lang}`);
    await row(page, id).getByRole('button').click();
    await look(`my-page-asking-${lang}`);
    await page.goto('/signup');
    await page.locator('#address').waitFor(LIVE);
    await look(`sign-up-${lang}`);
  }
});

visitor('what the bar counts stays in its own place at every width and size', {}, async ({ page, context }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  for (let orders = 0; orders < 10; orders += 1) await order(page, 2, 1);
  const look = async (what) => {
    await page.waitForFunction(() => Number(document.querySelector('.bar .count')?.textContent) >= 10);
    for (const [width, size] of [[320, ''], [320, '200%'], [360, ''], [360, '200%'], [767, '200%'], [768, ''], [1280, '200%']]) {
      await page.setViewportSize({ width, height: 800 });
      const found = await page.evaluate((size) => {
        document.documentElement.style.fontSize = size;
        const box = (it) => it.getBoundingClientRect();
        const count = document.querySelector('.bar .count');
        const [own, item] = [box(count), box(count.closest('.bar-item'))];
        const others = [...document.querySelectorAll('.bar-item, .search, .brand')].filter((it) => !it.contains(count));
        const meets = others.map(box).some((it) => it.left < own.right && own.left < it.right && it.top < own.bottom && own.top < it.bottom);
        const inside = own.left >= item.left && own.right <= item.right && own.top >= item.top && own.bottom <= item.bottom;
        return { meets, inside, height: Math.round(box(document.querySelector('.bar')).height) };
      }, size);
      assert.deepEqual([found.meets, found.inside], [false, true], `${what} at ${width} px ${size}`);
      if (width >= 360 && !size) assert.equal(found.height, 56, `${what} at ${width} px is one line`);
      await page.screenshot({ path: `${process.env.ARTEFACTS ?? '../test-artefacts'}/bar-${what}-${width}-${size || 'normal'}.png` });
    }
    await page.evaluate(() => (document.documentElement.style.fontSize = ''));
  };
  for (const lang of ['ko', 'en']) {
    await context.addCookies([{ name: 'lang', value: lang, url: here.mall.url }]);
    await page.goto('/mypage');
    await page.locator('#app .mark.live').first().waitFor(LIVE);
    await look(lang);
  }
});

visitor('forced colours show the steps apart', {}, async ({ page }) => {
  await page.emulateMedia({ forcedColors: 'active' });
  await signIn(page, ...CUSTOMER);
  await order(page, 5, 999);
  await page.locator('.steps[data-state="OrderCancelled"]').waitFor(LIVE);
  // Of a ring's looks only the line's kind and width count: the colours are the user's, one for all.
  const looks = await page.locator('.step').evaluateAll((steps) =>
    steps.map((step) => {
      const { borderTopStyle, borderTopWidth, backgroundColor } = getComputedStyle(step.querySelector('.ring'));
      const drawn = step.querySelector('path');
      const stroke = drawn && getComputedStyle(drawn).stroke;
      return { look: `${borderTopStyle} ${borderTopWidth}`, visible: stroke !== backgroundColor };
    }),
  );
  assert.equal(new Set(looks.map((it) => it.look)).size, 3, JSON.stringify(looks));
  assert.ok(looks.every((it) => it.visible), JSON.stringify(looks));
  await picture(page, 'steps-forced', { dark: false });
});

visitor('a reload or Back after an order shows the order, and a new look an empty form', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 2, 1);
  const steps = page.locator(`.steps[data-order-id="${id}"]`);
  await page.reload();
  await steps.waitFor(LIVE);
  await page.click('section a[href="/mypage"]');
  await row(page, id).waitFor(LIVE);
  await page.goBack();
  await steps.waitFor(LIVE);
  await page.goto('/mypage');
  await row(page, id).waitFor(LIVE);
  await page.goBack();
  await steps.waitFor(LIVE);
  await page.click('.brand');
  await page.click('.card a[href="/products/2"]');
  await page.locator('#quantity').waitFor(LIVE);
  await page.goBack();
  await page.goBack();
  await steps.waitFor(LIVE);
  // Nobody else sees it.
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('link', { name: '로그인' }).waitFor(LIVE);
  await page.goBack();
  assert.equal(await steps.count(), 0);
});

visitor('a reload before the answer to an order says that it may be taken, and the same again is the same order', { expected: ['ERR_FAILED'] }, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const unknown = page.getByText('답을 받지 못했어요');
  await page.goto('/products/2');
  await page.locator('#quantity').waitFor(LIVE);
  assert.equal(await unknown.count(), 0, 'nothing was sent');
  const taken = new Promise((resolve) => {
    void page.route('**/orders', async (route) => {
      // Taken, and the answer is lost on its way.
      const answer = await route.fetch();
      resolve([answer.status(), route.request().headers()['idempotency-key']]);
    });
  });
  await page.getByRole('button', { name: '주문하기' }).click();
  const [status, sent] = await taken;
  assert.equal(status, 201);
  await page.reload();
  await unknown.waitFor(LIVE);
  await page.unroute('**/orders');
  const asked = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/orders'));
  await page.getByRole('button', { name: '주문하기' }).click();
  assert.equal((await asked).headers()['idempotency-key'], sent, 'the same order');
  await page.locator('.steps').waitFor(LIVE);
  await page.reload();
  assert.equal(await unknown.count(), 0, 'it is known now');
});

visitor('an order that one has cancelled oneself says so on coming back, and not that stock was short', {}, async ({ page }) => {
  await signIn(page, ...CUSTOMER);
  const id = await order(page, 2, 1);
  await page.locator('.steps[data-delivery="DeliveryStarted"]').waitFor(LIVE);
  await page.click('section a[href="/mypage"]');
  await row(page, id).getByRole('button', { name: '취소' }).click();
  await page.getByRole('button', { name: '주문 취소' }).click();
  await row(page, id).and(page.locator('[data-delivery="DeliveryCancelled"]')).waitFor(LIVE);
  await page.goBack();
  await page.getByRole('status').getByText('취소 요청을 받아').waitFor(LIVE);
  assert.equal(await page.getByText('재고가 모자라').count(), 0);
  // The stock was there; it is the delivery that was stopped.
  assert.deepEqual(await page.locator('.step').evaluateAll((them) => them.map((it) => it.className.replace('step', '').trim())), ['done', 'done', 'stopped']);
  await page.reload();
  await page.getByRole('status').getByText('취소 요청을 받아').waitFor(LIVE);
});

visitor('what was typed to sign up is there after a reload and on coming back, but for the password', {}, async ({ page }) => {
  await page.goto('/signup');
  const typed = { '#username': 'half@example.com', '#nickname': '새봄', '#address': '부산시' };
  for (const [field, text] of Object.entries(typed)) await page.fill(field, text);
  await page.fill('#password', 'eight or more');
  const there = async () => {
    await page.locator('#address').waitFor(LIVE);
    for (const [field, text] of Object.entries(typed)) assert.equal(await page.inputValue(field), text);
    assert.equal(await page.inputValue('#password'), '');
    assert.equal(await page.evaluate(() => JSON.stringify([sessionStorage, localStorage]).includes('eight or more')), false);
  };
  await page.reload();
  await there();
  await page.click('main a[href^="/signin"]');
  await page.waitForURL('**/signin');
  await page.goBack();
  await there();
  await page.fill('#password', 'eight or more');
  await page.press('#password', 'Enter');
  await page.waitForURL((url) => url.pathname === '/');
  await page.goto('/signup');
  await page.locator('#address').waitFor(LIVE);
  assert.equal(await page.inputValue('#nickname'), '', 'it was used');
});

visitor('an order whose answer never came is asked for once more as the same order, over a reload', { expected: ['ERR_'] }, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  await page.goto('/products/1');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  const answers = [];
  await page.route('**/orders', async (route) => {
    const answer = await route.fetch();
    answers.push({ key: route.request().headers()['idempotency-key'], id: (await answer.json()).id });
    // It was taken, and nobody hears of it.
    await (answers.length === 1 ? route.abort() : route.fulfill({ response: answer }));
  });
  await page.click('form .primary');
  await page.getByRole('button', { name: '그만두기' }).waitFor(LIVE);
  await page.reload();
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  await page.click('form .primary');
  await page.locator(`.steps[data-order-id="${answers[0].id}"]`).waitFor(LIVE);
  assert.deepEqual(answers[1], answers[0]);
  // The next one is another.
  await page.getByRole('link', { name: '하나 더 주문하기' }).click();
  await page.click('form .primary');
  await page.locator(`.steps[data-order-id]:not([data-order-id="${answers[0].id}"])`).waitFor(LIVE);
  assert.notEqual(answers.at(-1).key, answers[0].key);
});

visitor('an order that is taken when one has gone on shows at its own place, and at no other', {}, async ({ page }) => {
  await signIn(page, ...SECOND_CUSTOMER);
  let release;
  await page.route('**/orders', async (route) => {
    const answer = await route.fetch();
    await new Promise((resolve) => (release = () => resolve()));
    await route.fulfill({ response: answer });
  });
  const send = async () => {
    await page.goto('/');
    await page.click('.card a[href="/products/2"]');
    await page.waitForFunction(() => document.querySelector('#customerName')?.value);
    release = undefined;
    await page.click('form .primary');
    await page.waitForFunction(() => document.querySelector('section[aria-busy="true"]'));
  };
  const answered = async () => {
    const answer = page.waitForResponse('**/orders');
    while (!release) await page.waitForTimeout(50);
    release();
    return (await (await answer).json()).id;
  };
  await send();
  await page.click('.brand');
  await page.locator('.card[data-product-id]').nth(4).waitFor(LIVE);
  const id = await answered();
  await page.locator('.bar .count').waitFor(LIVE);
  await page.goBack();
  await page.locator(`.steps[data-order-id="${id}"]`).waitFor(LIVE);
  await send();
  await page.click('.brand');
  await page.click('.card a[href="/products/3"]');
  await page.locator('h1', { hasText: 'NOTEBOOK' }).waitFor(LIVE);
  await answered();
  await page.getByText('주문을 받았어요').waitFor({ state: 'attached' });
  await page.reload();
  await page.locator('#quantity').waitFor(LIVE);
  assert.equal(await page.locator('.steps').count(), 0);
});

visitor('what was typed outlives a session that ends, for whoever typed it', { expected: ['401'] }, async ({ page, context }) => {
  await signIn(page, ...CUSTOMER);
  await page.goto('/products/2');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value === '유엔진');
  await page.fill('#quantity', '4');
  await page.fill('#customerName', '받는 이');
  await page.fill('#customerAddr', '제주시 애월읍');
  await page.reload();
  await page.waitForFunction(() => document.querySelector('#customerAddr')?.value === '제주시 애월읍');
  const lang = (await context.cookies()).filter((it) => it.name === 'lang');
  await context.clearCookies();
  await context.addCookies(lang);
  await page.click('form .primary');
  await page.waitForURL('**/signin?from=**');
  await page.getByText('로그인이 끝났어요').waitFor(LIVE);
  await page.fill('#username', CUSTOMER[0]);
  await page.fill('#password', CUSTOMER[1]);
  await page.press('#password', 'Enter');
  await page.waitForFunction(() => document.querySelector('#customerAddr')?.value === '제주시 애월읍');
  assert.equal(await page.inputValue('#customerName'), '받는 이');
  assert.equal(await page.inputValue('#quantity'), '4');
  // And for nobody else.
  await context.clearCookies();
  await page.click('form .primary');
  await page.waitForURL('**/signin?from=**');
  await page.fill('#username', SECOND_CUSTOMER[0]);
  await page.fill('#password', SECOND_CUSTOMER[1]);
  await page.press('#password', 'Enter');
  await page.waitForFunction(() => document.querySelector('#customerName')?.value);
  assert.notEqual(await page.inputValue('#customerAddr'), '제주시 애월읍');
  assert.notEqual(await page.inputValue('#customerName'), '받는 이');
});

visitor('an administrator saves without a change, and pictures are shown or refused in words', { expected: ['ERR_', '401'] }, async ({ page, context }) => {
  const seen = [];
  await context.route('https://pictures.example/**', (route) => {
    seen.push(route.request().url());
    return route.fulfill({ contentType: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="6"/>' });
  });
  await signIn(page, ...ADMINISTRATOR);
  const card = page.locator('.card[data-product-id="5"]');
  const edit = card.getByRole('button', { name: '수정' });
  let writes = 0;
  page.on('request', (it) => (writes += it.method() === 'PATCH' ? 1 : 0));
  await edit.click();
  await page.press('#name', 'Enter');
  await page.locator('dialog').waitFor({ state: 'detached' });
  assert.equal(writes, 0);
  assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), '수정 CLOCK');
  await page.locator('[aria-live]').getByText('바뀐 것이 없어서').waitFor({ state: 'attached' });
  for (const wrong of ['http://pictures.example/a.png', '//pictures.example/a.png', 'javascript:alert(1)', '/\\pictures.example/a.png', 'pictures.example/a.png']) {
    await edit.click();
    await page.fill('#imageUrl', wrong);
    await page.press('#imageUrl', 'Enter');
    await page.getByRole('alert').getByText('https:// 주소로').waitFor(LIVE);
    assert.equal(await focused(page), 'input imageUrl');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
  }
  assert.equal(writes, 0);
  await edit.click();
  await page.fill('#imageUrl', 'https://pictures.example/clock.svg');
  await page.press('#imageUrl', 'Enter');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await card.locator('img[src="https://pictures.example/clock.svg"]').waitFor(LIVE);
  await page.waitForFunction(() => document.querySelector('.card[data-product-id="5"] img')?.naturalWidth > 0);
  assert.ok(seen.length > 0);
  await edit.click();
  await page.fill('#imageUrl', '');
  await page.press('#imageUrl', 'Enter');
  await card.locator('img[src="/goods/img/default.svg"]').waitFor(LIVE);
  // What was typed is there again after the session has ended.
  await edit.click();
  await page.fill('#name', 'CLOCK 2');
  await context.clearCookies();
  await page.press('#name', 'Enter');
  await page.waitForURL('**/signin**');
  await page.fill('#username', ADMINISTRATOR[0]);
  await page.fill('#password', ADMINISTRATOR[1]);
  await page.press('#password', 'Enter');
  await page.locator('dialog #name').waitFor(LIVE);
  assert.equal(await page.inputValue('#name'), 'CLOCK 2');
});
