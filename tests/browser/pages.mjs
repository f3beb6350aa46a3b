// Every page of Keycard's own, in every language, light and dark, on a phone, magnified, and by keyboard.
//
// I own: how the pages look and read, and the way on from each. I may call: browser.mjs, house.mjs. I never test what
// leads to a refusal: run.mjs and the integration tests do.
//
// node --test tests/browser/pages.mjs     after `cargo build` and `npm ci` in this folder; pictures are put beside the
//                                         build, in target/screenshots/page-*.png

import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { evidence, finishSignIn, portrait, pressByKeyboard, shown, signIn } from './browser.mjs';
import { SCREENSHOTS, chromium as launch, close, open, openGateway } from './house.mjs';

const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40">
  <circle cx="20" cy="20" r="20" fill="#0f766e"/><path d="M12 20l6 6 11-12" stroke="#fff" stroke-width="4" fill="none"/></svg>`;

let house;
let browser;

before(async () => {
  const app = (port) => `upstream = "http://127.0.0.1:${port.app}"`;
  house = await open(({ port }) => `
[[route]]
path = "/admin/"
access = { roles = ["editor"] }
identity_headers = "remote-user"
${app(port)}

[[route]]
path = "/gone/"
access = "public"
upstream = "http://127.0.0.1:1"
`);
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await close(house);
});

/** A test with a browser of its own in this language; no page may break its own policy. */
function scene(name, locale, act) {
  test(`${name} (${locale})`, { timeout: 120_000 }, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const broken = [];
    page.on('pageerror', (error) => broken.push(error.message));
    page.on('console', (message) => { if (/Content.Security.Policy|Refused to/i.test(message.text())) broken.push(message.text()); });
    try {
      await act(page, (path) => `${house.origin}${path}`);
      assert.deepEqual(broken, []);
    } catch (error) {
      const pictures = await evidence(browser, `pages-${name.split(' ')[0]}`);
      console.error([`\n${name}:`, ...pictures, house.gateway.tail()].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

/** The address of a callback at which a browser that keeps no cookies ends up. */
async function endOfTheLoop(page, at) {
  const context = page.context();
  let to = at('/bff/login?return_to=/a');
  for (let steps = 0; steps < 20; steps += 1) {
    const answer = await context.request.get(to, { maxRedirects: 0, headers: { accept: 'text/html' } });
    await context.clearCookies();
    if (answer.status() !== 302) return to;
    const state = new URL(answer.headers().location).searchParams.get('state');
    to = at(`/bff/callback?code=x&state=${encodeURIComponent(state)}`);
  }
  throw new Error('the loop does not end');
}

const signedIn = (person, path) => async (page, at) => {
  await signIn(page, at('/'), person);
  return page.goto(at(path));
};

/** How to get to each page, its status, its heading in both languages, and the controls in order. */
const PAGES = [
  { name: 'error', status: 400, go: (page, at) => page.goto(at('/bff/callback?state=x&code=x')),
    en: ['This sign-in link is not valid', 'Sign in again'], de: ['Dieser Anmeldelink ist nicht gültig', 'Neu anmelden'] },
  { name: 'not-found', status: 404, go: (page, at) => page.goto(at('/bff/nothing')),
    en: ['Not found', 'Go to the front page'], de: ['Nicht gefunden', 'Zur Startseite'] },
  { name: 'loop', status: 400, go: async (page, at) => page.goto(await endOfTheLoop(page, at)),
    en: ['The sign-in could not be completed', 'Sign in again'],
    de: ['Die Anmeldung konnte nicht abgeschlossen werden', 'Neu anmelden'] },
  { name: 'unavailable', status: 502, go: (page, at) => page.goto(at('/gone/x')),
    en: ['The app behind this page cannot be reached', 'Try again'],
    de: ['Die Anwendung hinter dieser Seite ist nicht erreichbar', 'Noch einmal versuchen'] },
  { name: 'forbidden', status: 403, go: signedIn('bob', '/admin/x'),
    en: ['Not allowed', 'Sign out and use another account', 'Go to the front page'],
    de: ['Kein Zugang', 'Abmelden und ein anderes Konto nehmen', 'Zur Startseite'] },
  { name: 'sign-out', status: 200, go: signedIn('bob', '/bff/logout'),
    en: ['Sign out?', 'Sign out', 'Stay signed in', 'Where you are signed in'],
    de: ['Abmelden?', 'Abmelden', 'Angemeldet bleiben', 'Wo du angemeldet bist'] },
  { name: 'signed-out', status: 200, go: (page, at) => page.goto(at('/bff/signed-out')),
    en: ['You are signed out', 'Sign in again'], de: ['Du bist abgemeldet', 'Neu anmelden'] },
];

/** Nothing sticks out at 320 px, with text twice as large, or with everything twice as large. */
async function fits(page, name) {
  const size = page.viewportSize();
  const sticksOut = () => page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  for (const [what, width, text] of [['320 px', 320, ''], ['zoom 200 %', 640, ''], ['text 200 %', 640, '200%'], ['both', 320, '200%']]) {
    await page.setViewportSize({ width, height: 640 });
    // By the object model, which the policy of the page leaves open to its user.
    await page.evaluate((value) => { document.documentElement.style.fontSize = value; }, text);
    if (what === 'both') await page.screenshot({ path: join(SCREENSHOTS, `${name}-large.png`), fullPage: true });
    assert.equal(await sticksOut(), false, `${name}: ${what}`);
  }
  await page.evaluate(() => { document.documentElement.style.fontSize = ''; });
  await page.setViewportSize(size);
}

/** Every control by keyboard, in order, each with a ring and large enough to hit. */
async function walk(page) {
  const names = [];
  for (let steps = 0; steps < 6; steps += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const on = document.activeElement;
      if (!on || on === document.body) return undefined;
      const { outlineStyle, outlineWidth } = getComputedStyle(on);
      return { name: on.textContent.trim(), ring: `${outlineStyle} ${outlineWidth}`, height: on.getBoundingClientRect().height };
    });
    if (!at || names.includes(at.name)) break;
    assert.equal(at.ring, 'solid 3px', at.name);
    assert.ok(at.height >= 24, `${at.name} is ${at.height} px high`);
    names.push(at.name);
  }
  await page.evaluate(() => document.activeElement?.blur());
  return names;
}

async function inspect(page, answer, { name, status, ...texts }, lang, suffix = '') {
  assert.equal(answer.status(), status);
  const headers = answer.headers();
  assert.equal(headers['content-language'], lang);
  assert.match(headers.vary, /accept-language/i);
  assert.doesNotMatch(headers['content-security-policy'], /unsafe|script-src/);
  assert.equal(await page.getAttribute('html', 'lang'), lang);
  const [title, ...controls] = texts[lang];
  assert.deepEqual(await page.locator('h1').allTextContents(), [title]);
  assert.equal(await page.getByRole('main', { name: title }).count(), 1, 'the one landmark has the name of the page');
  assert.ok((await page.title()).startsWith(title));
  assert.equal(await page.locator('script').count(), 0);
  assert.deepEqual(await walk(page), controls);
  const id = headers['x-request-id'];
  assert.equal(await page.locator('code', { hasText: id }).count(), status === 200 ? 0 : 1, 'the correlation id');
  const picture = `page-${name}-${lang}${suffix}`;
  assert.deepEqual(await portrait(page, picture), { overflow: false });
  await fits(page, picture);
}

for (const [locale, lang] of [['en-GB', 'en'], ['de-AT', 'de']]) {
  for (const one of PAGES) {
    scene(`${one.name} is a page that reads well on any screen`, locale, async (page, at) => {
      await inspect(page, await one.go(page, at), one, lang);
    });
  }
}

/** A phone that `person` is signed in on, too; it is closed with `browser`. */
async function phone(at, person) {
  const context = await browser.newContext({
    userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
  });
  const page = await context.newPage();
  await signIn(page, at('/'), person);
  return page;
}

const LISTS = [
  ['en-GB', 'en', 'Where you are signed in', 'This browser', 'Sign out', 'Last used', 'Go to the front page'],
  ['de-AT', 'de', 'Wo du angemeldet bist', 'Dieser Browser', 'Abmelden', 'Zuletzt benutzt', 'Zur Startseite'],
];

for (const [locale, lang, title, here, out, used, front] of LISTS) {
  scene('where one is signed in, and a button for each', locale, async (page, at) => {
    await page.goto(at('/bff/sessions'));
    await page.locator('form#sign-in').waitFor();
    await page.fill('input[name=login]', 'alice');
    await Promise.all([page.waitForNavigation(), page.press('input[name=login]', 'Enter')]);
    assert.equal(page.url(), at('/bff/sessions'), 'the sign-in leads back to the list');
    const other = await phone(at, 'alice');
    const answer = await page.reload();
    const headers = answer.headers();
    assert.deepEqual([answer.status(), headers['content-language']], [200, lang]);
    assert.doesNotMatch(headers['content-security-policy'], /unsafe|script-src/);
    assert.equal(await page.locator('script').count(), 0);
    assert.deepEqual(await page.locator('h1').allTextContents(), [title]);
    const rows = page.locator('.sessions li');
    const before = await rows.count();
    assert.ok(before >= 2, `${before} sessions`);
    assert.match(await rows.first().innerText(), new RegExp(`Chrome · Linux\\s+${here}[^]*${used}\\s+\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC`));
    const iphone = rows.filter({ hasText: 'Safari · iPhone' }).first();
    assert.equal(await iphone.count(), 1);
    // A button says whose it is, to those who only hear it.
    const described = await iphone.getByRole('button', { name: out }).getAttribute('aria-describedby');
    assert.equal((await page.locator(`#${described}`).textContent()).trim(), 'Safari · iPhone');
    const picture = `page-sessions-${lang}`;
    assert.deepEqual(await portrait(page, picture), { overflow: false });
    await fits(page, picture);
    // By keyboard: the first button, the second one, and so on, then the link; each with its ring.
    const names = [];
    for (let steps = 0; steps <= before; steps += 1) {
      await page.keyboard.press('Tab');
      const { name, ring, height } = await page.evaluate(() => {
        const on = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(on);
        return { name: on.textContent.trim(), ring: `${outlineStyle} ${outlineWidth}`, height: on.getBoundingClientRect().height };
      });
      assert.equal(ring, 'solid 3px', name);
      assert.ok(height >= 24, `${name} is ${height} px high`);
      if (steps === 1) await page.screenshot({ path: join(SCREENSHOTS, `${picture}-focus.png`), fullPage: true });
      names.push(name);
    }
    assert.deepEqual(names, [...Array(before).fill(out), front]);
    await iphone.getByRole('button', { name: out }).focus();
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    assert.equal(page.url(), at('/bff/sessions'));
    assert.equal(await rows.count(), before - 1);
    assert.equal(await other.evaluate(async () => (await fetch('/bff/user')).status), 401);
    await other.context().close();
    await Promise.all([page.waitForNavigation(), rows.first().getByRole('button', { name: out }).click()]);
    assert.equal(page.url(), at('/bff/signed-out'));
    assert.equal((await page.context().cookies()).filter(({ name }) => name === 'keycard').length, 0);
  });
}

scene('a language that we do not speak gets English', 'fr-FR', async (page, at) => {
  const answer = await page.goto(at('/bff/signed-out'));
  assert.equal(answer.headers()['content-language'], 'en');
});

scene('forbidden says who is there, and leads to another account', 'en-GB', async (page, at) => {
  await signedIn('bob', '/admin/x')(page, at);
  assert.match(await page.textContent('main'), /signed in as\s+Bob Baker \(bob@people\.test\)/);
  await pressByKeyboard(page, /another account/);
  await page.locator('h1', { hasText: 'Sign out at the provider' }).waitFor();
  await pressByKeyboard(page, /yes, sign me out/i);
  assert.equal(new URL(page.url()).pathname, '/bff/signed-out');
  await pressByKeyboard(page, /sign in again/i);
  await finishSignIn(page, 'alice');
  await page.goto(at('/admin/x'));
  assert.deepEqual(await shown(page), { user: 'alice', target: '/admin/x' });
});

scene('trying again asks for the same address', 'en-GB', async (page, at) => {
  await page.goto(at('/gone/x?y=%C3%A4'));
  await pressByKeyboard(page, /try again/i);
  assert.equal(page.url(), at('/gone/x?y=%C3%A4'));
});

scene('branded pages carry name, logo, colour and footer', 'de-AT', async (page, at) => {
  appendFileSync(house.config, `
[pages]
name = "Häuser & Höfe <Verwaltung>"
logo = "/static/logo.svg"
accent = "#ffcc00"
footer = "Fragen? Durchwahl 555, werktags von neun bis fünf."
`);
  await house.gateway.stop();
  await openGateway(house);
  await page.route('**/static/logo.svg', (route) => route.fulfill({ contentType: 'image/svg+xml', body: LOGO }));
  const forbidden = PAGES.find(({ name }) => name === 'forbidden');
  await inspect(page, await forbidden.go(page, at), forbidden, 'de', '-branded');
  assert.equal((await page.textContent('header')).trim(), 'Häuser & Höfe <Verwaltung>');
  assert.equal(await page.getByRole('contentinfo').textContent(), 'Fragen? Durchwahl 555, werktags von neun bis fünf.');
  assert.ok(await page.locator('header img').evaluate((image) => image.naturalWidth > 0), 'the policy lets the logo in');
});
