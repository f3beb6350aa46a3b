// The apps in a frame on somebody else's page, in a real browser: `session.embed`.
//
// I own: what only a browser decides about it: who may frame us, and which cookies a frame has. I may call: browser.mjs,
// house.mjs. I never look inside the gateway.
//
// node --test tests/browser/embed.mjs     as run.mjs; everything is https here, by a certificate made for the occasion

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { evidence } from './browser.mjs';
import { chromium as launch, close, open } from './house.mjs';

let house;
let browser;
/** What has to be closed at the end, and where each page is to be found. */
const fronts = [];
const at = {};
const folder = mkdtempSync(join(tmpdir(), 'keycard-embed-'));
const file = (name) => join(folder, name);

/** Each name below `.localhost` is a site of its own, and Chromium takes it for this machine without asking anybody. */
const PORTAL = 'portal.localhost';
const STRANGER = 'stranger.localhost';

function makeCertificate() {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=keycard browser tests', '-addext', 'subjectAltName=IP:127.0.0.1',
    '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', file('key.pem'), '-out', file('cert.pem')], { stdio: 'ignore' });
}

/** TLS at a port of its own, and whatever `answer` does behind it. */
async function front(answer) {
  const server = createServer({ key: readFileSync(file('key.pem')), cert: readFileSync(file('cert.pem')) }, answer);
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  fronts.push(server);
  return server.address().port;
}

/** Hands a request on to `port` as it is. */
const forwardTo = (port) => (req, res) => {
  const headers = { ...req.headers, 'x-forwarded-proto': 'https' };
  const onward = request({ host: '127.0.0.1', port, path: req.url, method: req.method, headers }, (answer) => {
    res.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(res);
  });
  onward.on('error', () => res.destroy());
  req.pipe(onward);
};

/** A page that frames whatever its query names. */
const framing = (req, res) => {
  const src = new URL(req.url, 'https://here').searchParams.get('src') ?? 'about:blank';
  res.setHeader('content-type', 'text/html; charset=utf-8').end(`<!DOCTYPE html><title>portal</title>
<link rel="icon" href="data:,"><h1>The portal</h1><iframe name="framed" width="900" height="600" src="${encodeURI(src)}"></iframe>`);
};

before(async () => {
  makeCertificate();
  const parents = await front(framing);
  at.portal = `https://${PORTAL}:${parents}`;
  at.stranger = `https://${STRANGER}:${parents}`;
  house = await open(() => '', () => ({ KEYCARD__SESSION__EMBED: `{ parents = ["${at.portal}"] }` }), async ({ port }) => {
    const issuer = `https://127.0.0.1:${await front(forwardTo(port.idp))}`;
    return {
      origin: `https://apps.localhost:${await front(forwardTo(port.gateway))}`,
      issuer,
      idpArguments: [issuer],
      providerExtra: `ca_file = "${file('cert.pem')}"`,
    };
  });
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await close(house);
  for (const server of fronts) await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  rmSync(folder, { recursive: true, force: true });
});

/** A test with a browser of its own. */
function scene(name, act) {
  test(name, { timeout: 60_000 }, async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    try {
      await act({ context, page, said });
    } catch (error) {
      const pictures = await evidence(browser, `embed-${name.split(' ')[0]}`);
      console.error([`\n${name}:`, ...pictures, ...said, house.gateway.tail(), house.idp.tail(15)].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

/** Opens `path` of ours in a frame of this page. */
async function framedIn(page, parent, path) {
  await page.goto(`${parent}/?src=${encodeURIComponent(house.origin + path)}`);
  return framed(page);
}

/** The frame of this page, also where the browser has put a page of its own into it. */
const framed = (page) => page.mainFrame().childFrames()[0];

async function signInWithin(frame, person) {
  await frame.fill('form#sign-in input[name=login]', person);
  await frame.press('input[name=login]', 'Enter');
  await frame.locator('main#app').waitFor();
}

const person = (frame) => frame.locator('#remote-user').textContent();
const ours = async (context) => (await context.cookies(house.origin)).filter(({ name }) => /keycard/.test(name));

scene('r51_r68 in a frame of a listed page a person signs in, stays, and signs out', async ({ context, page }) => {
  const frame = await framedIn(page, at.portal, '/inside?x=1');
  await signInWithin(frame, 'alice');
  assert.equal(await person(frame), 'alice');
  assert.equal(frame.url(), `${house.origin}/inside?x=1`);
  const cookies = await ours(context);
  assert.equal(cookies.length, 2, JSON.stringify(cookies.map(({ name }) => name)));
  for (const { name, sameSite, secure, httpOnly, partitionKey } of cookies) {
    assert.match(name, /^__Host-/);
    assert.deepEqual({ sameSite, secure, httpOnly }, { sameSite: 'None', secure: true, httpOnly: true }, name);
    assert.match(partitionKey ?? '', /^https:\/\/portal\.localhost/, `${name} is kept for frames of the portal`);
  }

  // The whole portal again: the cookie goes along without a question.
  assert.equal(await person(await framedIn(page, at.portal, '/again')), 'alice');
  const script = await framed(page).evaluate(async () => (await fetch('/data')).status);
  assert.equal(script, 200, "a script of the app within the frame is the app's");

  // The jar of the frame is not that of a tab.
  const tab = await context.newPage();
  await tab.goto(`${house.origin}/inside`);
  await tab.locator('form#sign-in').waitFor();
  await tab.close();

  const out = await framedIn(page, at.portal, '/bff/logout');
  await out.getByRole('button', { name: /sign out/i }).click();
  await out.getByRole('button', { name: 'Yes, sign me out' }).click();
  await out.waitForURL('**/bff/signed-out*');
  assert.deepEqual((await ours(context)).filter(({ name }) => !/login/.test(name)), [], 'the session cookie is gone');
  await (await framedIn(page, at.portal, '/inside')).locator('form#sign-in').waitFor();
});

/** Nothing of ours is in the frame, and the browser has said why. */
function assertRefused(frame, said) {
  assert.ok(!frame.url().startsWith(house.origin), `it shows ${frame.url()}`);
  assert.ok(said.some((line) => /frame-ancestors 'self' https:\/\/portal\.localhost/.test(line)), `not said: ${said}`);
}

scene('r68 a page that is not listed frames nothing of ours', async ({ page, said }) => {
  // Somebody who is signed in there has the more to lose.
  await signInWithin(await framedIn(page, at.portal, '/inside'), 'bob');
  for (const path of ['/bff/logout', '/bff/signed-out', '/inside']) {
    said.length = 0;
    const frame = await framedIn(page, at.stranger, path);
    // Without a session the app leads to the provider, and that frame is not ours to refuse.
    if (path === '/inside') await frame.locator('form#sign-in').waitFor();
    else assertRefused(frame, said);
  }
  // Even once the person has signed in within that frame, what follows is shown to nobody.
  const refused = page.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
  const frame = framed(page);
  said.length = 0;
  await frame.fill('form#sign-in input[name=login]', 'bob');
  await frame.press('input[name=login]', 'Enter');
  await refused;
  assertRefused(framed(page), said);
  assert.equal(await person(await framedIn(page, at.portal, '/inside')), 'bob', 'and the listed page goes on');
});
