// Ten gigabytes up and ten down, in constant memory; a slow reader, a slow writer, and those who stop.
//
// I own: bytes without end, and the memory of the gateway while they pass. I may call: ../browser/house.mjs for bounds. I
// never look at the clock to judge: what is judged is how much lies in the gateway, and that everything arrives.
//
// node --test tests/streams/run.mjs          after `cargo build`; KEYCARD_BINARY tries another build, GIGABYTES another size

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, freePort, until } from '../browser/house.mjs';

const BINARY = process.env.KEYCARD_BINARY ?? join(ROOT, 'target', 'debug', 'keycard');
const SIZE = Number(process.env.GIGABYTES ?? 10) * 1e9;
const CHUNK = Buffer.alloc(256 * 1024, 'keycard');
/** How much more memory than before a transfer may take. What is under way in sockets is the kernel's. */
const GROWTH = 24 * 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'keycard-streams-'));
let app;
let gateway;
let port;
let log = '';

/** Writes `size` bytes as fast as they are taken; how many were written when the other side went. */
function pour(to, size) {
  return new Promise((resolve) => {
    let left = size;
    to.on('close', () => resolve(size - left));
    to.on('error', () => {});
    const more = () => {
      while (left > 0) {
        const piece = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
        left -= piece.length;
        if (!to.write(piece) && left > 0) { to.once('drain', more); return; }
      }
      to.end();
    };
    more();
  });
}

/** The gateway's resident memory, in bytes. */
function resident() {
  const [, pages] = readFileSync(`/proc/${gateway.pid}/statm`, 'utf8').split(' ');
  return Number(pages) * 4096;
}

/** The most memory that the gateway has while `act` goes on, over what it had before. */
async function growth(act) {
  const before = resident();
  let most = before;
  const look = setInterval(() => { most = Math.max(most, resident()); }, 50);
  try {
    await act();
  } finally {
    clearInterval(look);
  }
  return Math.max(most, resident()) - before;
}

const app_saw = { uploaded: 0, poured: 0, open: 0 };

before(async () => {
  app = createServer((asked, answer) => {
    app_saw.open += 1;
    answer.on('close', () => { app_saw.open -= 1; });
    if (asked.method === 'POST') {
      app_saw.uploaded = 0;
      asked.on('data', (bytes) => { app_saw.uploaded += bytes.length; });
      asked.on('end', () => answer.end(String(app_saw.uploaded)));
      asked.on('error', () => {});
      if (asked.url.endsWith('/deaf')) asked.pause();
      return;
    }
    const size = Number(new URL(asked.url, 'http://app').searchParams.get('size'));
    answer.setHeader('Content-Length', size);
    pour(answer, size).then((poured) => { app_saw.poured = poured; });
  });
  app.requestTimeout = 0;
  await new Promise((done) => app.listen(0, '127.0.0.1', done));
  port = await freePort();
  const key = Buffer.alloc(32, 7).toString('base64');
  writeFileSync(join(folder, 'keycard.toml'), `
[server]
listen = "127.0.0.1:${port}"
public_url = "http://localhost:${port}"
workers = 2
write_stall_timeout = "2s"
body_stall_timeout = "2s"
[session]
store = "memory"
keys = ["${key}"]
[[provider]]
id = "corp"
issuer = "http://127.0.0.1:9"
client_id = "keycard"
client_secret = "not asked for here"
[[route]]
path = "/"
upstream = "http://127.0.0.1:${app.address().port}"
access = "public"
stall_timeout = "2s"
[log]
level = "warn"
`, { mode: 0o600 });
  gateway = spawn(BINARY, ['serve', '--config', join(folder, 'keycard.toml')], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const out of [gateway.stdout, gateway.stderr]) out.on('data', (text) => { log += text; });
  await until('the gateway listens', () => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(undefined));
  }));
  // What the first requests take for good is no growth.
  for (let n = 0; n < 8; n += 1) { await get(2e6); await post(2e6); }
});

after(() => {
  gateway?.kill('SIGKILL');
  app?.closeAllConnections();
  app?.close();
  rmSync(folder, { recursive: true, force: true });
});

function ask(options) {
  return request({ host: '127.0.0.1', port, agent: false, ...options, headers: { host: `localhost:${port}`, ...options.headers } });
}

/** Downloads; how many bytes came. */
function get(size) {
  return new Promise((resolve, reject) => {
    const asked = ask({ path: `/?size=${size}` });
    asked.on('error', reject);
    asked.on('response', (answer) => {
      let came = 0;
      answer.on('data', (bytes) => { came += bytes.length; });
      answer.on('error', reject);
      answer.on('end', () => resolve(came));
    });
    asked.end();
  });
}

/** Uploads; what the app counted. */
function post(size, headers = { 'content-length': size }) {
  return new Promise((resolve, reject) => {
    const asked = ask({ path: '/', method: 'POST', headers });
    asked.on('error', reject);
    asked.on('response', async (answer) => {
      let text = '';
      for await (const bytes of answer) text += bytes;
      resolve(text);
    });
    pour(asked, size);
  });
}

const bound = { timeout: 600_000 };
const said = (grown) => `the gateway grew by ${(grown / 1e6).toFixed(1)} MB`;

test(`r79_a32 ${SIZE / 1e9} GB down in constant memory`, bound, async (t) => {
  const grown = await growth(async () => assert.equal(await get(SIZE), SIZE));
  t.diagnostic(said(grown));
  assert.ok(grown < GROWTH, said(grown));
});

test(`r79_a32 ${SIZE / 1e9} GB up in constant memory`, bound, async (t) => {
  const grown = await growth(async () => assert.equal(await post(SIZE), String(SIZE)));
  t.diagnostic(said(grown));
  assert.ok(grown < GROWTH, said(grown));
});

test('r79_a32 chunks up in constant memory', bound, async (t) => {
  const grown = await growth(async () => assert.equal(await post(SIZE / 10, { 'transfer-encoding': 'chunked' }), String(SIZE / 10)));
  t.diagnostic(said(grown));
  assert.ok(grown < GROWTH, said(grown));
});

test('r79_a33 a reader that stops holds back the app, costs nothing, and is cut off', bound, async (t) => {
  const grown = await growth(async () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`GET /?size=${SIZE} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    await until('the app is let go', () => (app_saw.open === 0 ? true : undefined), 30_000);
    socket.destroy();
  });
  t.diagnostic(said(grown));
  assert.ok(app_saw.poured < SIZE / 10, `the app could write ${app_saw.poured} bytes that nobody read`);
  assert.ok(grown < GROWTH, said(grown));
});

test('r79_a33 a writer that stops is told, and the app is let go', bound, async () => {
  const answer = await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (bytes) => { text += bytes; });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
    socket.write(`POST / HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 1000\r\n\r\nhalf`);
  });
  assert.match(answer, /^HTTP\/1\.1 408 /);
  await until('the app is let go', () => (app_saw.open === 0 ? true : undefined), 30_000);
});

test('r79_a33 an app that stops reading holds back the client, and the client is told', bound, async (t) => {
  const grown = await growth(async () => {
    const status = await new Promise((resolve, reject) => {
      const asked = ask({ path: '/deaf', method: 'POST', headers: { 'content-length': SIZE } });
      asked.on('response', (answer) => { resolve(answer.statusCode); asked.destroy(); });
      asked.on('error', reject);
      pour(asked, SIZE);
    });
    assert.equal(status, 504);
  });
  t.diagnostic(said(grown));
  assert.ok(grown < GROWTH, said(grown));
});

test('nothing of this was worth an error', () => {
  assert.doesNotMatch(log, /panicked|ERROR/);
});
