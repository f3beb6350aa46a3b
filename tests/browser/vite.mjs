// Vite behind Keycard, by the very words of docs/spa.md: its development server with hot reload, and what it builds.
//
// I own: the recipe's blocks, brought to this machine's ports, and a folder with an app in it. I may call: house.mjs,
// playwright-core, Vite and TypeScript of client/. I never mend a block: what the chapter shows has to work.
//
// node --test tests/browser/vite.mjs     after `cargo build`, `tests/install` and `npm run build` in client/

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { evidence } from './browser.mjs';
import { Child, chromium as launch, close, freePort, open, openGateway } from './house.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const CLIENT = join(HERE, '..', '..', 'client');
const BOUND = 15_000;

/** The fenced blocks of the chapter in one language. */
const blocks = (language) => readFileSync(join(HERE, '..', '..', 'docs', 'spa.md'), 'utf8')
  .split(`\`\`\`${language}\n`).slice(1).map((rest) => rest.split('```')[0]);
const [BUILT, DEVELOPED] = blocks('toml');
const VITE_CONFIG = blocks('js').find((block) => block.includes('defineConfig'));

const folder = mkdtempSync(join(tmpdir(), 'keycard-vite-'));
const port = {};
let house;
let browser;
let vite;
let api;

before(async () => {
  Object.assign(port, { vite: await freePort(), api: await freePort() });
  api = createServer((req, res) => {
    const token = req.headers.authorization?.split(' ')[0];
    res.setHeader('content-type', 'application/json').end(JSON.stringify({ csrf: req.headers['x-csrf'], token }));
  });
  await new Promise((resolve) => { api.listen(port.api, '127.0.0.1', resolve); });
  house = await open(() => '', (it) => {
    writeFileSync(it.config, DEVELOPED, { mode: 0o600 });
    return variables(it, `http://127.0.0.1:${port.vite}`);
  });
  lay(house.port.gateway);
  vite = new Child('Vite', process.execPath, [join(CLIENT, 'node_modules', 'vite', 'bin', 'vite.js'), folder, '--port',
    String(port.vite)], { NO_COLOR: '1' });
  await vite.ready(async () => await ask('localhost') === 200);
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await vite?.stop();
  await close(house);
  api?.closeAllConnections();
  api?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What differs on this machine from what the chapter says. */
function variables(it, upstream) {
  return {
    OIDC_SECRET: it.clientSecret,
    KEYCARD__SERVER__LISTEN: `127.0.0.1:${it.port.gateway}`,
    KEYCARD__SERVER__PUBLIC_URL: it.origin,
    KEYCARD__SESSION__STORE: 'memory',
    KEYCARD__PROVIDER__0__ISSUER: it.issuer,
    KEYCARD__PROVIDER__0__CLIENT_SECRET: it.clientSecret,
    KEYCARD__ROUTE__0__UPSTREAM: upstream,
    KEYCARD__ROUTE__1__UPSTREAM: `http://127.0.0.1:${port.api}`,
  };
}

/** An app, with the client as `npm install` would put it there. */
function lay(clientPort) {
  cpSync(join(HERE, 'vite'), folder, { recursive: true });
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '@keycard', 'client'), { recursive: true });
  cpSync(join(CLIENT, 'package.json'), join(modules, '@keycard', 'client', 'package.json'));
  cpSync(join(CLIENT, 'dist'), join(modules, '@keycard', 'client', 'dist'), { recursive: true });
  symlinkSync(join(CLIENT, 'node_modules', 'vite'), join(modules, 'vite'));
  assert.equal(VITE_CONFIG.split('clientPort: 8080').length, 2);
  writeFileSync(join(folder, 'vite.config.js'), VITE_CONFIG.replace('clientPort: 8080', `clientPort: ${clientPort}`));
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
}

/** What Vite says, without Keycard, to a request for `host`. */
function ask(host) {
  return new Promise((resolve, reject) => {
    request({ port: port.vite, host: '127.0.0.1', path: '/', headers: { host, accept: 'text/html' } }, (res) => {
      res.resume();
      resolve(res.statusCode);
    }).on('error', reject).end();
  });
}

/** A command of an npm package of client/, to its end. */
async function run(name, script, args) {
  const child = new Child(name, process.execPath, [join(CLIENT, 'node_modules', ...script), ...args], { NO_COLOR: '1' });
  const { code } = await child.ended;
  await child.stop();
  assert.equal(code, 0, child.tail());
}

/** A test with a browser of its own, which keeps the codes with which WebSockets were closed. */
function scene(name, act) {
  test(name, { timeout: 60_000 }, async () => {
    const context = await browser.newContext();
    context.setDefaultTimeout(BOUND);
    try {
      await act(context);
    } catch (error) {
      console.error([`\n${name}:`, ...await evidence(browser, 'vite'), house.gateway.tail(), vite.tail()].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

async function enter(page, person) {
  await page.fill('form#sign-in input[name=login]', person);
  await page.press('input[name=login]', 'Enter');
  await page.locator('#who', { hasText: person }).waitFor();
}

const said = (page, where, what) => page.locator(where, { hasText: what }).waitFor();

scene('the compiler of an app finds the types of the client', async () => {
  await run('the compiler', ['typescript', 'bin', 'tsc'], ['-p', folder]);
});

scene('r65 hot reload through Keycard: a changed module shows without a reload, and the end closes it with 4401', async (context) => {
  let closed;
  const closing = new Promise((resolve) => { closed = resolve; });
  await context.exposeBinding('wsClosed', (_, protocol, code) => { if (protocol === 'vite-hmr') closed(code); });
  await context.addInitScript(() => {
    const Real = WebSocket;
    globalThis.WebSocket = class extends Real {
      constructor(url, protocol) {
        super(url, protocol);
        this.addEventListener('close', ({ code }) => wsClosed(protocol, code));
      }
    };
  });
  const page = await context.newPage();
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket));
  await page.goto(`${house.origin}/?word=x`);
  await page.locator('form#sign-in').waitFor();
  sockets.length = 0;
  await enter(page, 'alice');
  await said(page, '#greeting', 'Hello, Alice Archer');
  await said(page, '#api', '{"csrf":"1","token":"Bearer"}');
  assert.equal(page.url(), `${house.origin}/?word=x`);

  await page.evaluate(() => { window.stillTheSame = true; });
  writeFileSync(join(folder, 'greeting.ts'), 'export const greet = (name: string): string => `Good evening, ${name}`;\n');
  await said(page, '#greeting', 'Good evening, Alice Archer');
  assert.equal(await page.evaluate(() => window.stillTheSame), true, 'the page was not loaded anew');
  const addresses = sockets.map((socket) => new URL(socket.url()).host);
  assert.deepEqual([...new Set(addresses)], [new URL(house.origin).host], 'never past Keycard');

  // Signing out in another tab: the page hears it, and what feeds it is cut.
  const other = await context.newPage();
  await other.goto(`${house.origin}/bff/logout`);
  await Promise.all([other.waitForNavigation(), other.locator('form button').first().click()]);
  assert.equal(await closing, 4401);
  await said(page, '#who', 'nobody');
  await other.goto(`${house.origin}/`);
  await other.locator('form#sign-in, #who').first().waitFor();
  if (await other.locator('form#sign-in').count()) await enter(other, 'alice');
  // Vite's page has waited for its server meanwhile.
  await page.bringToFront();
  await page.waitForFunction(() => !window.stillTheSame);
  await said(page, '#who', 'alice');
});

scene('Vite takes the host that the recipe names, and no other', async () => {
  assert.deepEqual([await ask('apps.example.com'), await ask('evil.example')], [200, 403]);
});

scene('what Vite has built is served as files, deep links included, and its calls get through', async (context) => {
  await run('vite build', ['vite', 'bin', 'vite.js'], ['build', folder]);
  await house.gateway.stop();
  writeFileSync(house.config, BUILT, { mode: 0o600 });
  house.variables = variables(house, `file://${folder}/dist`);
  await openGateway(house);
  const page = await context.newPage();
  await page.goto(`${house.origin}/orders/17?word=x`);
  await said(page, '#who', 'nobody');
  await said(page, '#api', 'sign in first');
  await page.goto(`${house.origin}/bff/login?return_to=%2Forders%2F17%3Fword%3Dx`);
  await enter(page, 'bob');
  assert.equal(page.url(), `${house.origin}/orders/17?word=x`);
  await said(page, '#api', '{"csrf":"1","token":"Bearer"}');
});
