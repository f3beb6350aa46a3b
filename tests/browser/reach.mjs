// A single-page app, and a session cookie that is `SameSite=Strict`, in a real browser with a provider on another site.
//
// I own: what only a browser decides about both: which navigation carries the cookie, which request is a page's. I may
// call: browser.mjs, house.mjs. I never look inside the gateway.
//
// node --test tests/browser/reach.mjs     as run.mjs

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { cookies, evidence, finishSignIn, shown, signIn } from './browser.mjs';
import { chromium as launch, close, foreignPage, open } from './house.mjs';

// Any key can come from the environment.
process.env.KEYCARD__SESSION__SAME_SITE = 'strict';

const PAGE = '<!DOCTYPE html><link rel="icon" href="data:,"><title>spa</title><main id="spa"></main>'
  + '<script type="module" src="/spa/assets/index-DiwrgT2a.js"></script>';
const SCRIPT = 'const gone = await fetch("/spa/assets/gone.js");'
  + 'document.querySelector("#spa").textContent = `${location.pathname} ${gone.status}`;';

let house;
let browser;
const dist = mkdtempSync(join(tmpdir(), 'keycard-spa-'));

before(async () => {
  mkdirSync(join(dist, 'assets'));
  writeFileSync(join(dist, 'index.html'), PAGE);
  writeFileSync(join(dist, 'assets', 'index-DiwrgT2a.js'), SCRIPT);
  house = await open(() => `
[[route]]
path = "/spa/"
upstream = "file://${dist}"
fallback = "index.html"
access = "signed-in"
`);
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await close(house);
  rmSync(dist, { recursive: true, force: true });
});

/** A test with a browser of its own, in which no page breaks its own rules. */
function scene(name, act) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await browser.newContext();
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const broken = [];
    page.on('pageerror', (error) => broken.push(error.message));
    page.on('console', (message) => { if (/Content.Security.Policy|Refused to/i.test(message.text())) broken.push(message.text()); });
    try {
      await act({ context, page });
      assert.deepEqual(broken, []);
    } catch (error) {
      const pictures = await evidence(browser, `reach-${name.split(' ')[0]}`);
      console.error([`\n${name}:`, ...pictures, house.gateway.tail(), house.idp.tail(15)].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

const askedProvider = () => house.idp.lines.filter((line) => line.startsWith('GET /auth ')).length;
const sessionCookie = async (context) => (await cookies(context, house)).find(({ name }) => name === 'keycard');

scene('r51 a strict session cookie survives the way back from the provider', async ({ context, page }) => {
  const before = askedProvider();
  assert.equal(await signIn(page, `${house.origin}/a?x=1`, 'alice'), 1);
  assert.deepEqual(await shown(page), { user: 'alice', target: '/a?x=1' });
  assert.equal(page.url(), `${house.origin}/a?x=1`);
  assert.equal(askedProvider() - before, 1, 'asked once, without a loop');
  const all = await cookies(context, house);
  assert.deepEqual(all.map(({ name, sameSite }) => [name, sameSite]).sort(), [['keycard', 'Strict'], ['keycard-login', 'Lax']]);
  await page.reload();
  assert.equal((await shown(page)).user, 'alice');
});

scene('r51 a link from another site opens the app with the session that is there', async ({ context, page }) => {
  await signIn(page, `${house.origin}/`, 'alice');
  const { value } = await sessionCookie(context);
  const before = askedProvider();
  const elsewhere = await foreignPage('127.0.0.1');
  try {
    await page.goto(elsewhere.url);
    await page.evaluate((to) => {
      const link = document.createElement('a');
      link.href = to;
      link.textContent = 'there';
      document.body.append(link);
    }, `${house.origin}/b?y=%C3%A4&z=1`);
    await page.click('a');
    await page.locator('main#app').waitFor();
    assert.deepEqual(await shown(page), { user: 'alice', target: '/b?y=%C3%A4&z=1' });
    assert.equal(askedProvider(), before, 'nobody had to sign in again');
    assert.equal((await sessionCookie(context)).value, value);
    await page.goBack();
    assert.equal(page.url(), elsewhere.url, 'the landing page is no step of the history');
  } finally {
    await elsewhere.close();
  }
});

scene('r51 a link from another site leads somebody without a session to the login once', async ({ page }) => {
  const before = askedProvider();
  const elsewhere = await foreignPage('127.0.0.1');
  try {
    await page.goto(elsewhere.url);
    await page.evaluate((to) => { location.href = to; }, `${house.origin}/c`);
    await finishSignIn(page, 'bob');
    assert.deepEqual(await shown(page), { user: 'bob', target: '/c' });
    assert.equal(askedProvider() - before, 1);
  } finally {
    await elsewhere.close();
  }
});

scene('a single-page app from a folder works at every address of its own', async ({ page }) => {
  await signIn(page, `${house.origin}/`, 'alice');
  for (const path of ['/spa/', '/spa/people/7', '/spa/people/7?tab=1']) {
    await page.goto(`${house.origin}${path}`);
    await page.locator('#spa:not(:empty)').waitFor();
    assert.equal(await page.textContent('#spa'), `${path.split('?')[0]} 404`, 'the page is there, a missing script is not');
  }
  await page.reload();
  await page.locator('#spa:not(:empty)').waitFor();
});
