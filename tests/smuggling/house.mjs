// Everything that the table of smuggled requests needs running.
//
// I own: the gateway as a child, its configuration, one sign-in, and the raw connections to it. I may call: `provider`,
// `upstreams`, `strict`. I never judge.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openProvider } from './provider.mjs';
import { NAMES, freePort, openCanary, openUpstream, reachable } from './upstreams.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) => process.on(signal, () => process.exit(1)));
// For trying another build; unset, the one that `cargo build` makes.
const KEYCARD = process.env.KEYCARD_BINARY ?? join(ROOT, 'target', 'debug', 'keycard');

/** The three upstreams behind one gateway: `/<name>/open` is public, `/<name>/guarded` needs a session. */
export async function open() {
  if (!existsSync(KEYCARD)) throw new Error(`the gateway is not there (cargo build): ${KEYCARD}`);
  const scratch = mkdtempSync(join(tmpdir(), 'keycard-smuggling-'));
  // Apache's workers are another user. What is secret in here has its own mode.
  chmodSync(scratch, 0o755);
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const provider = await openProvider('keycard');
  const upstreams = await Promise.all(NAMES.map((name) => openUpstream(name, scratch)));
  const canary = await openCanary();
  const port = await freePort();
  const host = `localhost:${port}`;
  const route = (path, upstream, access) =>
    `[[route]]\npath = "${path}"\nupstream = "http://127.0.0.1:${upstream.port}"\naccess = "${access}"\n`;
  const config = join(scratch, 'keycard.toml');
  writeFileSync(config, `
[server]
listen = "127.0.0.1:${port}"
public_url = "http://${host}"
drain_timeout = "2s"

[session]
store = "memory"

[[provider]]
id = "corp"
issuer = "${provider.issuer}"
client_id = "keycard"
client_secret = "a-secret-of-enough-characters"

${upstreams.flatMap((upstream) => [route(`/${upstream.name}/open`, upstream, 'public'),
    route(`/${upstream.name}/guarded`, upstream, 'signed-in')]).join('\n')}`, { mode: 0o600 });

  const log = [];
  const gateway = spawn(KEYCARD, ['serve', '--config', config], { cwd: scratch, stdio: ['ignore', 'pipe', 'pipe'] });
  [gateway.stdout, gateway.stderr].forEach((stream) => stream.setEncoding('utf8').on('data', (text) => log.push(text)));
  const ended = new Promise((resolve) => { gateway.on('exit', (code, signal) => resolve({ code, signal })); });
  process.on('exit', () => gateway.kill('SIGKILL'));
  const house = { host, port, canary, gateway, log, names: NAMES };
  await Promise.race([reachable(port, 'the gateway'),
    ended.then((how) => { throw new Error(`the gateway ended: ${JSON.stringify(how)}\n${log.join('')}`); })]);
  house.cookie = await signIn(`http://${host}/node/guarded/`);

  /** Most memory that the gateway ever had, in KiB. */
  house.mostMemory = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]);
  /** Ends everything, and tells by upstream what reached it. */
  house.close = async () => {
    gateway.kill('SIGTERM');
    const timer = setTimeout(() => gateway.kill('SIGKILL'), 20_000);
    house.ended = await ended;
    clearTimeout(timer);
    const reached = {};
    for (const upstream of upstreams) reached[upstream.name] = await upstream.close();
    provider.close();
    canary.close();
    return reached;
  };
  return house;
}

/** Walks from the page through the provider and back, with a jar of one's own; gives the Cookie header. */
async function signIn(page) {
  const jar = new Map();
  let url = page;
  for (let hop = 0; hop < 8; hop += 1) {
    const answer = await visit(url, jar.size > 0 && new URL(url).host === new URL(page).host
      ? { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } : {});
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      jar.set(name, value);
    }
    const next = answer.headers.location;
    if (!next) {
      if (answer.statusCode !== 200) throw new Error(`the sign-in ended with ${answer.statusCode} at ${new URL(url).pathname}`);
      return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    }
    url = new URL(next, url).href;
  }
  throw new Error('the sign-in goes round in circles');
}

/** What a browser sends when somebody types an address. Not `fetch`, which calls itself a script. */
function visit(url, more) {
  const headers = {
    accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'none', ...more,
  };
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (answer) => resolve(answer.resume())).on('error', reject);
  });
}

/** Sends these bytes from this address and reads until the gateway closes, or falls silent for `patience` milliseconds
 *  after it took them. `closed` tells which; a gateway that closes without reading resets, which is closing too. */
export function exchange(port, address, text, patience) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: address });
    const parts = [];
    let timer;
    const end = (closed) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: Buffer.concat(parts).toString('latin1'), closed });
    };
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => end(false), patience); };
    socket.on('connect', () => { wait(); socket.write(Buffer.from(text, 'latin1')); });
    socket.on('data', (bytes) => { parts.push(bytes); wait(); });
    socket.on('drain', wait);
    socket.on('end', () => end(true)).on('error', () => end(true)).on('close', () => end(true));
  });
}
