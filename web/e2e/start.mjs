// Starts what a test needs: the mall on a free port with a folder of its own, and a browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const START_MS = 60_000;
const STOP_MS = 15_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ARTEFACTS = process.env.ARTEFACTS ?? join(ROOT, 'test-artefacts');
const WIDTHS = [360, 768, 1280];

export const CUSTOMER = ['1@uengine.org', '1'];
export const SECOND_CUSTOMER = ['2@uengine.org', '2'];
export const ADMINISTRATOR = ['admin@uengine.org', 'admin'];
export const LIVE = { timeout: 10_000 };

/**
 * A mall and a browser for the tests of one file. `visitor` is a test with a visitor of its own, in
 * which the page must not complain unless it is told so; `service` stops and starts one.
 */
export function shop(settings) {
  const it = {};
  before(async () => {
    it.mall = await startMall(settings);
    it.browser = await startBrowser();
  });
  after(async () => {
    await it.browser?.close();
    await it.mall?.stop();
  });
  it.visitor = (name, options, act) =>
    test(name, async () => {
      const guest = await visit(it.browser, it.mall, options);
      try {
        await act(guest);
        const { expected = [] } = options;
        const unexpected = guest.complaints.filter((it) => !expected.some((part) => it.includes(part)));
        assert.deepEqual(unexpected, []);
      } finally {
        await guest.end();
      }
    });
  it.service = async (name, what) => {
    const answer = await fetch(`${it.mall.admin}/admin/services/${name}/${what}`, { method: 'POST' });
    assert.equal(answer.status, 204, `${name} ${what}`);
  };
  /** Does as the administrator does, past every page. */
  it.asAdministrator = async (method, path, json) => {
    const [username, password] = ADMINISTRATOR;
    const form = new URLSearchParams({ grant_type: 'password', username, password });
    const answer = await fetch(`${it.mall.url}/oauth/token`, { method: 'POST', body: form });
    const { access_token } = await answer.json();
    const headers = { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' };
    const done = await fetch(it.mall.url + path, { method, headers, body: json && JSON.stringify(json) });
    assert.ok(done.ok, `${method} ${path}: ${done.status}`);
    return done.status === 204 ? undefined : done.json();
  };
  /** `act` while the service is stopped. */
  it.without = async (name, act) => {
    await it.service(name, 'stop');
    try {
      await act();
    } finally {
      await it.service(name, 'start');
    }
  };
  return it;
}

export const row = (page, id) => page.locator(`table.orders tr[data-order-id="${id}"]`);

/** Orders and answers the order's number, once it is taken. */
export async function order(page, product, quantity) {
  await page.goto(`/products/${product}`);
  await page.fill('#quantity', String(quantity));
  await page.click('form .primary');
  const line = page.locator('.steps[data-order-id]');
  await line.waitFor(LIVE);
  return line.getAttribute('data-order-id');
}

/** A running mall: `url` is its gateway; `stop` ends the process and removes its folder. */
export async function startMall({ faults = false } = {}) {
  const program = process.env.YEOUL_BIN ?? join(ROOT, 'target/debug/yeoul');
  const data = mkdtempSync(join(tmpdir(), 'mall-'));
  const more = faults ? ['--faults'] : [];
  const mall = spawn(program, ['mall', '--data', data, '--listen', '127.0.0.1:0', '--json', ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(mall, 'exit');
  const stop = async () => {
    mall.kill('SIGTERM');
    const kill = setTimeout(() => mall.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(kill);
    rmSync(data, { recursive: true, force: true });
  };
  try {
    const line = once(createInterface(mall.stdout), 'line', { signal: AbortSignal.timeout(START_MS) });
    const gone = exited.then(([code]) => Promise.reject(new Error(`the mall ended. code=\`${code}\``)));
    const [ready] = await Promise.race([line, gone]);
    const { gateway, admin, account } = JSON.parse(ready);
    return { url: gateway, admin, account, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/**
 * A visitor with a profile of their own, who notes what goes wrong in the page.
 * `complaints` holds console errors and uncaught exceptions; `end` closes the profile.
 */
export async function visit(browser, mall, { locale = 'ko-KR', ...more } = {}) {
  const context = await browser.newContext({ baseURL: mall.url, locale, viewport: { width: 1280, height: 900 }, ...more });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { context, page, complaints, end: () => context.close() };
}

export async function signIn(page, username, password) {
  await page.goto('/signin');
  await page.fill('#username', username);
  await page.fill('#password', password);
  await page.press('#password', 'Enter');
  await page.waitForURL((url) => url.pathname === '/');
  await page.waitForSelector('.bar a[href="/mypage"]');
}

/** One picture of the page per width, light and dark; refuses a page that scrolls sideways. */
export async function picture(page, name, { dark = true } = {}) {
  mkdirSync(ARTEFACTS, { recursive: true });
  const before = page.viewportSize();
  for (const colorScheme of dark ? ['light', 'dark'] : ['light']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) throw new Error(`${name} scrolls sideways. width=\`${width}\`, over=\`${wide}\``);
      const file = `${name}-${width}${colorScheme === 'dark' ? '-dark' : ''}.png`;
      await page.screenshot({ path: join(ARTEFACTS, file), fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  await page.setViewportSize(before);
}
