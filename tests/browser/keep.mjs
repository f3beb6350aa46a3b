// What a sign-in takes from a browser, kept: the fragment of an address, and a form that was being sent.
//
// I own: what only a browser decides about both: what its storage keeps over the provider's pages, which bytes it sends
// again, what its back button does; and how the pages look. I may call: browser.mjs, house.mjs. I never look inside the
// gateway.
//
// node --test tests/browser/keep.mjs     as run.mjs; pictures are put beside the build, in target/screenshots/keep-*.png

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { evidence, portrait } from './browser.mjs';
import { arrivals, chromium as launch, close, gatewayLog, open } from './house.mjs';

const FORM = `<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><title>form</title>
<form method="post" action="/notes/save?draft=1&amp;x=%C3%A4">
<input name="title" value="Café &amp; Söhne ~ 100% “quoted” <b>"><textarea name="text">
one
two  =+&amp;</textarea>
<input name="tag[]" value="a"><input name="tag[]" value=""><input type="checkbox" name="on" checked>
<input type="hidden" name="_charset_"><button name="go" value="save">Save</button></form>`;
const FILES = `<!DOCTYPE html><link rel="icon" href="data:,"><title>files</title>
<form method="post" enctype="multipart/form-data" action="/notes/save"><input name="a" value="b"><button>Save</button></form>`;
const ROUTER = `<!DOCTYPE html><link rel="icon" href="data:,"><title>router</title><main id="spa"></main>
<script>document.querySelector('#spa').textContent = location.hash.slice(1);</script>`;

let house;
let browser;
const dist = mkdtempSync(join(tmpdir(), 'keycard-keep-'));

before(async () => {
  writeFileSync(join(dist, 'index.html'), ROUTER);
  writeFileSync(join(dist, 'form.html'), FORM);
  writeFileSync(join(dist, 'files.html'), FILES);
  house = await open(({ port }) => `
[[route]]
path = "/notes/"
upstream = "http://127.0.0.1:${port.app}"
access = "signed-in"
identity_headers = "remote-user"
keep_post = "64KiB"

[[route]]
path = "/spa/"
upstream = "file://${dist}"
fallback = "index.html"
access = "signed-in"
keep_fragment = true

[[route]]
path = "/open/"
upstream = "file://${dist}"
access = "public"
`);
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await close(house);
  rmSync(dist, { recursive: true, force: true });
});

/** A test with a browser of its own, in which no page breaks its own policy. */
function scene(name, act, options = {}) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const broken = [];
    page.on('pageerror', (error) => broken.push(error.message));
    page.on('console', (message) => { if (/Content.Security.Policy|Refused to/i.test(message.text())) broken.push(message.text()); });
    arrivals(house);
    try {
      await act({ context, page });
      assert.deepEqual(broken, []);
    } catch (error) {
      const pictures = await evidence(browser, `keep-${name.split(' ').slice(0, 3).join('-')}`);
      console.error([`\n${name}:`, ...pictures, house.gateway.tail(), house.idp.tail(15)].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

const at = (path) => `${house.origin}${path}`;

/** Signs in at the provider, whose form takes any fragment away. */
async function providerSignIn(page, person) {
  await page.locator('form#sign-in').waitFor();
  await page.fill('input[name=login]', person);
  await page.press('input[name=login]', 'Enter');
}

/** What a form sends, as the browser writes it. */
async function fillAndSend(page) {
  await page.goto(at('/open/form.html'));
  const sent = page.waitForRequest((request) => request.method() === 'POST' && request.url().includes('/notes/save'));
  await page.click('button');
  return (await sent).postData();
}

const posts = () => arrivals(house).filter(({ method }) => method === 'POST');

scene('a route of a hash router survives the sign-in', async ({ page }) => {
  await page.goto(at('/spa/?x=1#/people/7?tab=%C3%A4&y=a|b'));
  await providerSignIn(page, 'alice');
  await page.locator('#spa:not(:empty)').waitFor();
  assert.equal(page.url(), at('/spa/?x=1#/people/7?tab=%C3%A4&y=a|b'));
  assert.equal(await page.textContent('#spa'), '/people/7?tab=%C3%A4&y=a|b');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

scene('what looks like a token stays out of the address of the sign-in', async ({ page }) => {
  const asked = page.waitForRequest((request) => request.url().includes('/bff/login'));
  await page.goto(at('/spa/#state=1&access_token=secret'));
  assert.doesNotMatch((await asked).url(), /secret/);
  await providerSignIn(page, 'alice');
  await page.waitForURL(at('/spa/'));
});

scene('without scripts a link leads on', async ({ page }) => {
  await page.goto(at('/spa/#/x'));
  await portrait(page, 'keep-fragment');
  await page.click('a.button');
  await providerSignIn(page, 'alice');
  await page.waitForURL(at('/spa/'));
}, { javaScriptEnabled: false });

scene('a form survives the sign-in, is confirmed, and arrives once with the same bytes', async ({ context, page }) => {
  const sent = await fillAndSend(page);
  assert.match(sent, /%E2%80%9Cquoted/);
  await page.locator('form#sign-in').waitFor();
  await providerSignIn(page, 'alice');
  await page.getByRole('button', { name: 'Send it now' }).waitFor();
  assert.equal(page.url(), at('/bff/replay'));
  assert.deepEqual(await page.locator('h1').allTextContents(), ['Send your form?']);
  assert.match(await page.textContent('main'), /POST \/notes\/save\s+Its fields: title, text, tag\[\], on, _charset_, go/);
  assert.doesNotMatch(await page.locator('main').innerText(), /Söhne|quoted/, 'no value is shown');
  assert.deepEqual(await portrait(page, 'keep-confirm'), { overflow: false });
  assert.deepEqual(posts(), [], 'nothing is sent without a press of the button');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.getByRole('button', { name: 'Send it now' }).click();
  await page.locator('main#app').waitFor();
  assert.equal(page.url(), at('/notes/save?draft=1&x=%C3%A4'));
  const [arrived, ...more] = posts();
  assert.deepEqual(more, []);
  assert.equal(arrived.body, sent);
  assert.equal(arrived.headers['Remote-User'] !== undefined, true);
  // Whatever the back button leads to, the form is not handed out once more.
  const second = await context.newPage();
  await second.goto(at('/notes/'));
  await page.goBack().catch(() => undefined);
  await page.reload().catch(() => undefined);
  assert.equal(await page.getByRole('button', { name: 'Send it now' }).count(), 0);
  assert.deepEqual(posts(), []);
  const log = gatewayLog(house).join('\n');
  assert.doesNotMatch(log, /quoted|notes\/save|tag%5B/);
});

scene('a form that is not to be sent is not', async ({ page }) => {
  await fillAndSend(page);
  await providerSignIn(page, 'alice');
  await page.getByRole('link', { name: 'Do not send it' }).click();
  await page.locator('main#app').waitFor();
  assert.deepEqual(posts(), []);
});

scene('who is signed in at the provider already is asked all the same', async ({ page, context }) => {
  await page.goto(at('/notes/'));
  await providerSignIn(page, 'alice');
  await page.locator('main#app').waitFor();
  await context.clearCookies({ name: 'keycard' });
  const sent = await fillAndSend(page);
  await page.getByRole('button', { name: 'Send it now' }).click();
  await page.locator('main#app').waitFor();
  assert.deepEqual(posts().map(({ body }) => body), [sent]);
});

scene('a form with files is refused with a page that says what to do', async ({ page }) => {
  await page.goto(at('/open/files.html'));
  await page.click('button');
  await page.locator('h1', { hasText: 'Dein Formular ließ sich nicht aufbewahren' }).waitFor();
  assert.deepEqual(await portrait(page, 'keep-refused'), { overflow: false });
  await page.goBack();
  assert.equal(await page.inputValue('input'), 'b', 'the browser still has it');
}, { locale: 'de-AT' });

scene('without scripts a form is not kept, and the page says so', async ({ page }) => {
  await page.goto(at('/open/form.html'));
  await page.click('button');
  assert.match(await page.textContent('main'), /could not be kept: go back/);
  assert.deepEqual(await portrait(page, 'keep-no-scripts'), { overflow: false });
}, { javaScriptEnabled: false });

scene('a form that is gone is told to be', async ({ page }) => {
  await fillAndSend(page);
  await page.locator('form#sign-in').waitFor();
  // Another tab has another storage.
  const back = page.url();
  const other = await page.context().newPage();
  await other.goto(back);
  await providerSignIn(other, 'alice');
  await other.locator('h1', { hasText: 'no longer there' }).waitFor();
  assert.deepEqual(await portrait(other, 'keep-lost'), { overflow: false });
  assert.deepEqual(posts(), []);
});
