// What a real browser makes of WebSockets that end with their session, wherever in a frame that happens.
//
// I own: the codes that a page sees, and how soon. I may call: browser.mjs, house.mjs, house/torrent.mjs for the app. I
// never look inside the gateway.
//
// node --test tests/browser/sockets.mjs     as run.mjs; KEYCARD_SEED=… repeats a run

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { evidence, signIn } from './browser.mjs';
import { chromium as launch, close, freePort, open } from './house.mjs';
import { dice, openTorrents } from './house/torrent.mjs';

const SEED = Number(process.env.KEYCARD_SEED ?? randomInt(2 ** 31));
const ROUNDS = 6;
const KINDS = ['plain', 'plain', 'plain', 'deflate', 'deflate', 'deflate', 'stall', 'stall'];
/** From the end of the session to the last close event. */
const SOON = 1_000;

let house;
let torrents;
let browser;

before(async () => {
  const port = await freePort();
  torrents = await openTorrents(port);
  house = await open(() => `
[[route]]
path = "/ws/"
upstream = "http://127.0.0.1:${port}"
access = "signed-in"
websocket = true
`);
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await close(house);
  await torrents?.close();
});

/** In the page: opens a socket for each plan, answers each message, and keeps what it sees. `ready` is kept when all
 *  the torrents run, `enough` messages have come, and what should stall has stalled. */
function openSockets([plans, enough]) {
  let count = 0;
  let go;
  const watch = plans.map(({ seed, kind }) => {
    const seen = { seed, kind, lengths: [], stalled: false };
    const socket = new WebSocket(`/ws/torrent?seed=${seed}&kind=${kind}`);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => {
      if (data === 'stalled') {
        seen.stalled = true;
      } else {
        seen.lengths.push(data.byteLength ?? data.length);
      }
      count += 1;
      // Bytes from here are under way as well when the session ends.
      socket.send('x'.repeat(count % 100));
      if (count >= enough && watch.every((one) => one.lengths.length > 0 && (one.kind !== 'stall' || one.stalled))) go();
    };
    seen.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) => {
        const unsent = socket.bufferedAmount;
        Object.assign(seen, { code, reason, wasClean, unsent, extensions: socket.extensions, at: Date.now() });
        resolve();
      };
    });
    return seen;
  });
  window.torrents = watch;
  return Promise.race([
    new Promise((resolve) => { go = () => resolve('ready'); }),
    Promise.any(watch.map(({ closed }) => closed)).then(() => 'closed early'),
  ]);
}

/** In the page: what has become of the sockets, once all are closed. */
async function closes() {
  await Promise.all(window.torrents.map(({ closed }) => closed));
  return window.torrents.map(({ closed, ...seen }) => seen);
}

/** How a session is ended, by name: what is prepared before the torrents run, and then ends it, and returns when it has. */
const ENDINGS = {
  'a script of the page': async (page) => async () => {
    const status = await page.evaluate(async () => (await fetch('/bff/logout', { method: 'POST', headers: { 'x-csrf': '1' } })).status);
    assert.equal(status, 200);
  },
  'another tab': async (page) => {
    const tab = await page.context().newPage();
    await tab.goto(`${house.origin}/bff/logout`);
    return async () => {
      const ended = tab.waitForResponse((response) => response.request().method() === 'POST');
      await tab.evaluate(() => document.querySelector('form button').click());
      await ended;
      return tab;
    };
  },
};

test('r65 wherever in a frame a session ends, a browser sees 4401 or 1006', { timeout: 120_000 }, async (t) => {
  t.diagnostic(`KEYCARD_SEED=${SEED}`);
  const roll = dice(SEED);
  const context = await browser.newContext();
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const clean = { plain: 0, deflate: 0 };
  const codes = {};
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      await signIn(page, `${house.origin}/ws/`, 'alice');
      const how = Object.keys(ENDINGS)[round % 2];
      const end = await ENDINGS[how](page);
      const plans = KINDS.map((kind) => ({ kind, seed: roll.within(1, 2 ** 31) }));
      assert.equal(await page.evaluate(openSockets, [plans, roll.within(20, 90)]), 'ready');
      const tab = await end();
      const ended = Date.now();
      for (const seen of await page.evaluate(closes)) {
        const what = `round ${round}, ended by ${how}: ${JSON.stringify({ ...seen, lengths: seen.lengths.length })}`;
        codes[`${seen.kind} ${seen.code}`] = (codes[`${seen.kind} ${seen.code}`] ?? 0) + 1;
        assert.ok(seen.at - ended < SOON, `${seen.at - ended} ms: ${what}`);
        assert.deepEqual(seen.lengths, torrents.sent(seen.seed).slice(0, seen.lengths.length), `not what was sent: ${what}`);
        if (seen.kind === 'stall' || seen.code !== 4401) {
          assert.deepEqual([seen.code, seen.wasClean], [1006, false], what);
        } else {
          // Chromium calls no close clean after which the page has still sent something (`bufferedAmount`).
          assert.deepEqual([seen.reason, seen.wasClean], ['session ended', seen.unsent === 0], what);
          clean[seen.kind] += 1;
        }
        assert.equal(/permessage-deflate/.test(seen.extensions), seen.kind === 'deflate', what);
      }
      // The provider's own session stays, so that the next sign-in asks nothing.
      await tab?.close();
    }
    t.diagnostic(JSON.stringify(codes));
    for (const [kind, count] of Object.entries(clean)) {
      assert.ok(count > ROUNDS * 3 / 2, `most of ${kind} close with 4401: ${JSON.stringify(codes)}`);
    }
  } catch (error) {
    const pictures = await evidence(browser, 'sockets');
    console.error([`\nKEYCARD_SEED=${SEED} ${JSON.stringify(codes)}`, ...pictures, house.gateway.tail(), house.idp.tail(15)].join('\n'));
    throw error;
  } finally {
    await context.close();
  }
});
