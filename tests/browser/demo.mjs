// The tour of `keycard demo`, from the first line in the terminal to Ctrl-C.
//
// I own: what somebody sees who has just built Keycard and follows the printed steps, and what lies beside the way. I may
// call: tour.mjs for the steps, browser.mjs for portraits, house.mjs for children and bounds. I never know more than the
// terminal says: the address and the password are read from it. The other browsers' turn is demo_browsers.mjs.
//
// node --test tests/browser/demo.mjs     after `cargo build` and `npm ci` in this folder

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { evidence, pressByKeyboard } from './browser.mjs';
import { chromiumWindow } from './house/chromium.mjs';
import { chromium as launch, startDemo, until } from './house.mjs';
import { TOKEN, follow } from './tour.mjs';

const data = mkdtempSync(join(tmpdir(), 'keycard-demo-test-'));

let demo;
let browser;

before(async () => {
  demo = await startDemo(['--port', '0'], { XDG_DATA_HOME: data });
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await demo?.stop().catch(() => {});
  rmSync(data, { recursive: true, force: true });
});

/** A test with a browser of its own. */
function scene(name, act) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const broken = [];
    page.on('pageerror', (error) => broken.push(error.message));
    page.on('console', (message) => { if (/Content.Security.Policy|Refused to/i.test(message.text())) broken.push(message.text()); });
    try {
      await act({ context, page });
      assert.deepEqual(broken, [], 'no page broke its own rules');
    } catch (error) {
      const pictures = await evidence(browser, `demo-${name.split(' ')[0]}`);
      console.error([`\n${name}:`, ...pictures, demo.tail()].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

const greeting = (page, text) => page.locator('#greeting', { hasText: text }).waitFor();

/** From the page of the app to the form of the provider. */
async function toSignIn(page) {
  await page.goto(`${demo.home}/`);
  await greeting(page, 'Nobody is signed in');
  await page.click('a#sign-in');
  await page.locator('form#sign-in').waitFor();
}

/** Picks a person, types the printed password, agrees if asked; whether it was asked. */
async function signInAs(page, login) {
  await page.check(`input[name=person][value=${login}]`);
  await page.fill('input[name=password]', demo.password);
  await page.press('input[name=password]', 'Enter');
  await page.locator('form#consent, #greeting, #legacy-user').first().waitFor();
  const asked = await page.locator('form#consent').count() === 1;
  if (asked) await page.click('button[value=allow]');
  return asked;
}

test('the terminal says what to open and what to try, in plain numbered text', () => {
  const text = demo.lines.join('\n');
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(text, /\u001b/, 'no colours where there is no terminal');
  const numbers = [...text.matchAll(/^ {2}(\d+)\. /gm)].map(([, number]) => Number(number));
  assert.ok(numbers.length >= 5);
  assert.deepEqual(numbers, numbers.map((_, at) => at + 1));
  assert.ok(demo.lines.every((line) => line.length <= 120), 'every line fits');
});

scene('the tour, as printed, from its first step to its last', async ({ page }) => {
  await follow(chromiumWindow(page, 'demo'), data);
});

scene('the provider remembers: who stays signed in there is asked nothing', async ({ page }) => {
  await page.goto(`${demo.home}/legacy/`);
  await page.locator('form#sign-in').waitFor();
  await signInAs(page, 'chloe');
  assert.equal(await page.textContent('#legacy-name'), 'Chloé Doyle', 'names are not only ASCII');
  await page.click('a#sign-out');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.locator('form#end-session').waitFor();
  await page.click('button[value=no]');
  await page.waitForURL(`${demo.home}/bff/signed-out*`);
  await page.goto(`${demo.home}/legacy/`);
  assert.equal(await page.textContent('#legacy-user'), 'chloe');
});

scene('a page notices that its session is over', async ({ context, page }) => {
  await toSignIn(page);
  await signInAs(page, 'dev');
  await greeting(page, 'Hello, Dev Patel');
  assert.equal(await page.textContent('#roles'), 'none');
  // Another tab signs out; this one is told nothing.
  const other = await context.newPage();
  await other.goto(`${demo.home}/`);
  await other.locator('a#sign-out').click();
  await other.locator('form#end-session').waitFor();
  await page.bringToFront();
  await greeting(page, 'Your session has ended');
});

scene('r84 who signs out at the provider is out here too, and the page notices', async ({ context, page }) => {
  await toSignIn(page);
  await signInAs(page, 'chloe');
  await greeting(page, 'Hello, Chloé Doyle');
  const other = await context.newPage();
  await other.goto(`${demo.idp}/`);
  await other.click('button[value=yes]');
  await other.getByText('told when you sign out').waitFor();
  await until('the gateway has heard', async () => (await context.request.get(`${demo.home}/bff/user`)).status() === 401, 1000);
  await page.bringToFront();
  await greeting(page, 'Your session has ended');
});

scene('all of it works by keyboard, and no is an answer', async ({ page }) => {
  await page.goto(`${demo.home}/`);
  await greeting(page, 'Nobody is signed in');
  const focused = await pressByKeyboard(page, /^sign in$/i);
  assert.notEqual(focused.ring, 'none', 'the focus is visible');
  await page.locator('form#sign-in').waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  await page.keyboard.press('ArrowUp');
  assert.ok(await page.isChecked('input[value=dev]'));
  await page.keyboard.press('Tab');
  await page.keyboard.type(demo.password);
  await page.keyboard.press('Enter');
  await page.locator('form#consent, #greeting').first().waitFor();
  if (await page.locator('form#consent').count()) await pressByKeyboard(page, /^allow$/i);
  await greeting(page, 'Hello, Dev Patel');
});

scene('no consent, no session: the gateway says so', async ({ page }) => {
  await using(['--port', '0'], async (fresh) => {
    await page.goto(`${fresh.home}/legacy/`);
    await page.check('input[value=anna]');
    await page.fill('input[name=password]', fresh.password);
    await page.press('input[name=password]', 'Enter');
    await page.locator('form#consent').waitFor();
    const [answer] = await Promise.all([page.waitForNavigation(), page.click('button[value=deny]')]);
    assert.ok(answer.status() >= 400);
    assert.equal(new URL(page.url()).pathname, '/bff/callback');
    assert.equal(await page.locator('h1').count(), 1);
  });
});

test('the API takes no token but its own, and the provider sends nobody to a stranger', async () => {
  const answer = await fetch(`${demo.idp}/authorize?client_id=keycard-demo&redirect_uri=https://evil.example/`, { redirect: 'manual' });
  assert.equal(answer.status, 400);
  const loggedOut = await fetch(`${demo.idp}/end_session?post_logout_redirect_uri=https://evil.example/`, { redirect: 'manual' });
  assert.equal(loggedOut.status, 200);
  for (const path of ['/login', '/consent']) {
    const body = new URLSearchParams({ request: `client_id=keycard-demo&redirect_uri=${demo.home}/bff/callback`, person: 'anna', password: demo.password, decision: 'allow' });
    const forged = await fetch(`${demo.idp}${path}`, { method: 'POST', body, redirect: 'manual', headers: { origin: demo.home } });
    assert.equal(forged.status, 403, `${path} from elsewhere`);
  }
  const token = await fetch(`${demo.idp}/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', code: 'x' }) });
  assert.deepEqual([token.status, (await token.json()).error], [401, 'invalid_client']);
});

scene('a sign-out in one tab shows in the other at once, and closes its WebSocket', async ({ context, page }) => {
  await toSignIn(page);
  await signInAs(page, 'anna');
  await greeting(page, 'Anna');
  const other = await context.newPage();
  await other.goto(`${demo.home}/`);
  for (const tab of [page, other]) await tab.locator('#line', { hasText: 'connected' }).waitFor();
  await page.fill('#message', 'good morning');
  await page.press('#message', 'Enter');
  await other.locator('#talk', { hasText: 'good morning' }).waitFor();
  // What the page is told over the wire, when it is told, and not when it next asks by the clock.
  const told = other.evaluate(() => new Promise((resolve) => {
    const from = { ended: null, closed: null };
    const done = () => from.ended && from.closed && resolve(from);
    new EventSource('/bff/events').addEventListener('ended', ({ data }) => { from.ended = JSON.parse(data).reason; done(); });
    const socket = new WebSocket(`ws://${location.host}/chat`);
    socket.addEventListener('close', ({ code, wasClean }) => { from.closed = { code, wasClean }; done(); });
    socket.addEventListener('open', () => document.body.dataset.ready = '1');
  }));
  await other.locator('body[data-ready="1"]').waitFor();
  await page.click('#sign-out');
  assert.deepEqual(await told, { ended: 'by-user', closed: { code: 4401, wasClean: true } });
  await greeting(other, 'Your session has ended');
  await other.locator('#line', { hasText: '4401' }).waitFor();
});

test('a taken port is said and passed over; the folder is for its owner alone', async () => {
  const blocker = createServer((_, answer) => answer.end()).listen(0, '127.0.0.1');
  await until('a port', () => blocker.address());
  const { port } = blocker.address();
  try {
    await using(['--port', String(port)], async (fresh) => {
      assert.ok(fresh.lines.some((line) => line.includes(`Port ${port} is taken`)), fresh.tail());
      assert.notEqual(new URL(fresh.home).port, String(port));
      const folder = join(data, 'keycard-demo', new URL(fresh.home).port);
      assert.equal(statSync(folder).mode & 0o777, 0o700);
      for (const name of ['keycard.toml', 'provider-key.pkcs8']) {
        assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
      }
      assert.match(readFileSync(join(folder, 'keycard.toml'), 'utf8'), /\[\[route\]\]/);
    });
  } finally {
    blocker.close();
  }
});

scene('Ctrl-C stops all of it at once, with a stream still open', async ({ page }) => {
  const fresh = await startDemo(['--port', '0'], { XDG_DATA_HOME: data });
  await page.goto(`${fresh.home}/legacy/`);
  await page.check('input[value=anna]');
  await page.fill('input[name=password]', fresh.password);
  await page.press('input[name=password]', 'Enter');
  await page.click('button[value=allow]');
  await page.goto(`${fresh.home}/`);
  await greeting(page, 'Hello, Anna Berg');
  await page.click('#listen');
  await page.locator('#ticks', { hasText: 'tick' }).waitFor();
  const from = Date.now();
  fresh.kill('SIGINT');
  assert.deepEqual(await fresh.ended, { code: 0, signal: null });
  assert.ok(Date.now() - from < 10_000, 'nobody waits for the drain time-out of a server');
  await assert.rejects(fetch(fresh.idp), 'the provider is gone too');
  assert.doesNotMatch(fresh.lines.join('\n'), TOKEN);
});

test('sign-ins wrote no token and no person into the log', () => {
  const log = demo.lines.join('\n');
  assert.doesNotMatch(log, TOKEN);
  assert.doesNotMatch(log, /ERROR|panicked/, log);
});

/** A demo of its own for one test. */
async function using(args, act) {
  const fresh = await startDemo(args, { XDG_DATA_HOME: data });
  try {
    await act(fresh);
  } finally {
    await fresh.stop();
  }
}
