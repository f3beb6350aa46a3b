// What the benches with several processes need: Redis, the provider, an app, gateways, and browsers without a window.
//
// I own: child processes, their configuration, raw requests. I may call: the house of the browser tests for children and
// ports, idp.mjs. Everything runs on loopback; the gateways are the release build.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, freePort, status, until } from '../tests/browser/house.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
export const KEYCARD = process.env.KEYCARD_BINARY ?? join(HERE, '..', 'target', 'release', 'keycard');
const scratch = mkdtempSync(join(tmpdir(), 'keycard-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** A line of the table: see benches/run. */
export const figure = (what, value, wanted = '', holds) =>
  console.log(`= ${what} | ${value} | ${wanted} | ${holds === undefined ? '' : holds ? 'yes' : 'NO'}`);

/** The one below which this part of all lies. */
export const quantile = (all, part) => [...all].sort((a, b) => a - b)[Math.min(all.length - 1, Math.round(part * (all.length - 1)))];

export const nap = (ms) => new Promise((next) => setTimeout(next, ms));

/** Redis, provider, app and `count` gateways, which share a public origin as behind a load balancer. */
export async function open(count, { firstLifetime = 3600, feed = () => undefined, session = '', routes = '' } = {}) {
  if (!existsSync(KEYCARD)) throw new Error(`${KEYCARD} is not there: cargo build --release`);
  const house = { children: [], redisPort: await freePort(), idpPort: await freePort(), gateways: [] };
  const start = (name, command, args) => {
    const child = new Child(name, command, args.map(String));
    house.children.unshift(child);
    return child;
  };
  house.close = async () => { for (const child of house.children) { child.kill('SIGCONT'); child.kill('SIGKILL'); await child.ended; } house.app?.server.close().closeAllConnections(); };
  house.redis = start('redis', 'redis-server', ['--port', house.redisPort, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', scratch]);
  await house.redis.ready(async () => (await redis(house.redisPort, 'PING')) === 'PONG');
  const ports = [];
  for (let at = 0; at < count; at += 1) ports.push({ public: await freePort(), health: await freePort(), admin: await freePort() });
  // One name for all of them: what the cookie is bound to.
  house.origin = `http://localhost:${ports[0].public}`;
  const [secret, key, token] = [24, 32, 24].map((size) => randomBytes(size).toString('base64'));
  house.adminToken = token;
  house.idp = start('the provider', process.execPath, [join(HERE, 'idp.mjs'), house.idpPort, house.origin, secret, firstLifetime]);
  const app = house.app = await openApp();
  await house.idp.ready(async () => (await status(`http://127.0.0.1:${house.idpPort}/.well-known/openid-configuration`)) === 200);
  for (const [at, port] of ports.entries()) {
    const config = join(scratch, `keycard-${house.redisPort}-${at}.toml`);
    const storePort = (await feed(at, house)) ?? house.redisPort;
    writeFileSync(config, `
[server]
listen = "127.0.0.1:${port.public}"
health_listen = "127.0.0.1:${port.health}"
admin_listen = "127.0.0.1:${port.admin}"
admin_token = "${token}"
public_url = "${house.origin}"
workers = 2
login_rate = "off"
max_connections = 8192
max_connections_per_address = 8192


[session]
store = "redis://127.0.0.1:${storePort}/0"
keys = ["${key}"]
${session}

[[provider]]
id = "corp"
issuer = "http://127.0.0.1:${house.idpPort}"
client_id = "keycard"
client_secret = "${secret}"
scopes = ["openid", "profile", "email", "offline_access"]

[[route]]
path = "/"
upstream = "http://127.0.0.1:${app.port}"
access = "signed-in"
websocket = true

[[route]]
path = "/api/"
upstream = "http://127.0.0.1:${app.port}"
access = "signed-in"
token = "access"
${routes}
[log]
level = "warn"
`, { mode: 0o600 });
    const child = start(`gateway ${at}`, KEYCARD, ['serve', '--config', config]);
    const gateway = { child, port: port.public, health: port.health, admin: port.admin, config, agent: new Agent({ keepAlive: true, maxSockets: 4096 }) };
    await child.ready(async () => (await status(`http://127.0.0.1:${port.health}/livez`)) === 200);
    await until(`the feed of gateway ${at} is heard`, async () => (await (await fetch(`http://127.0.0.1:${port.health}/readyz`)).json()).feed === 'up');
    house.gateways.push(gateway);
  }
  house.host = house.origin.slice('http://'.length);
  return house;
}

/** An app that says as little as possible, and counts the tokens that it is handed; it keeps every WebSocket open. */
async function openApp() {
  const app = { tokens: new Map(), server: createServer((req, res) => {
    const { authorization } = req.headers;
    if (authorization) app.tokens.set(authorization, (app.tokens.get(authorization) ?? 0) + 1);
    res.end('ok');
  }) };
  app.server.keepAliveTimeout = 600_000;
  const { createHash } = await import('node:crypto');
  app.server.on('upgrade', (req, socket) => {
    const accept = createHash('sha1').update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.on('error', () => {}).write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.resume();
  });
  app.server.listen(0, '127.0.0.1');
  await new Promise((listening) => app.server.once('listening', listening));
  app.port = app.server.address().port;
  return app;
}

/** One request to a gateway; its status, headers and text. */
export function ask(gateway, host, path, headers = {}, method = 'GET', body) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: gateway.port, agent: gateway.agent, method, path, headers: { host, ...headers } }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (more) => { text += more; }).on('error', reject);
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text }));
    });
    sent.on('error', reject).end(body);
  });
}

/** Signs a person in through a gateway; the session's cookie. What a busy machine makes too slow is tried again: signing in
 *  is not what is measured. */
export async function signIn(house, person, gateway = house.gateways[0]) {
  for (let left = 3; ; left -= 1) {
    try {
      return await walkIn(house, person, gateway);
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

async function walkIn(house, person, gateway) {
  const jars = { gateway: new Map(), idp: new Map() };
  let [url, where] = [new URL('/bff/login?return_to=/', house.origin), 'gateway'];
  for (let step = 0; step < 12; step += 1) {
    const jar = jars[where];
    const target = where === 'gateway' ? gateway : { port: house.idpPort, agent: undefined };
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask(target, url.host, url.pathname + url.search, {
      'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'cross-site', accept: 'text/html', 'x-person': person,
      ...(cookie && { cookie }),
    });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      value ? jar.set(name, value) : jar.delete(name);
    }
    if (jars.gateway.has('keycard')) return `keycard=${jars.gateway.get('keycard')}`;
    if (!answer.headers.location) throw new Error(`no way on from ${url.pathname}: ${answer.status} ${answer.text.slice(0, 300)}`);
    url = new URL(answer.headers.location, url);
    where = url.port === String(house.idpPort) ? 'idp' : 'gateway';
  }
  throw new Error('the sign-in has no end');
}

/** One command to Redis, in the clear, on a connection of its own. */
export async function redis(port, ...words) {
  const { connect } = await import('node:net');
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('error', reject).on('close', () => reject(new Error('closed'))).on('data', (more) => {
      text += more;
      if (text.endsWith('\r\n')) { resolve(text.slice(1).trim()); socket.destroy(); }
    });
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join('')}`);
  });
}

export { freePort, until };
