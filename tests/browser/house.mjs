// Everything that the browser tests need running: Redis, the provider, the app, the gateway, the browser.
//
// I own: child processes, ports, the scratch folder, and the end of all of them. I may call: redis.mjs. I never test
// anything, and I never wait without a bound or sleep for a fixed time.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answers } from './redis.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
export const ROOT = join(HERE, '..', '..');
// For trying another build; unset, the one that `cargo build` makes.
const KEYCARD = process.env.KEYCARD_BINARY ?? join(ROOT, 'target', 'debug', 'keycard');
const CHROMIUM = process.env.KEYCARD_CHROMIUM ?? '/usr/bin/chromium';
const BOUND = 30_000;

/** Where screenshots go: beside the build, never into the tree. */
export const SCREENSHOTS = join(ROOT, 'target', 'screenshots');

const running = new Set();
const scratch = mkdtempSync(join(tmpdir(), 'keycard-browser-'));
mkdirSync(SCREENSHOTS, { recursive: true });
// Of the last run, and misleading from now on.
readdirSync(SCREENSHOTS).filter((file) => file.startsWith('failed-')).forEach((file) => rmSync(join(SCREENSHOTS, file)));
process.on('exit', () => {
  running.forEach((child) => child.kill('SIGKILL'));
  rmSync(scratch, { recursive: true, force: true });
});
['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) => process.on(signal, () => process.exit(1)));

/** Asks until `ask` gives something true, and fails with `what` after `bound` milliseconds. */
export async function until(what, ask, bound = BOUND) {
  const deadline = Date.now() + bound;
  let last;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${bound} ms: ${what}${last ? ` (${last.message})` : ''}`);
    await new Promise((next) => setTimeout(next, 25));
  }
}

class Hopeless extends Error {}

/** A port of this machine that nobody listens on now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A child process with its output, line by line, in `lines`. It leads a group of its own, since PHP's workers outlive
 *  a signal to their parent alone. */
export class Child {
  constructor(name, command, args, env = {}, options = {}) {
    this.name = name;
    this.lines = [];
    this.process = spawn(command, args, {
      env: { ...process.env, ...env }, cwd: scratch, stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options,
    });
    running.add(this);
    this.ended = new Promise((resolve) => {
      this.process.on('error', (error) => { this.lines.push(String(error)); resolve({ code: -1 }); });
      this.process.on('exit', (code, signal) => { this.over = { code, signal }; resolve(this.over); });
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop();
        this.lines.push(...lines);
      });
    }
  }

  /** Waits until `ask` says that it answers; gives up at once when the process is gone. */
  ready(ask) {
    return until(`${this.name} answers`, async () => {
      if (this.over) throw new Hopeless(`${this.name} ended with ${JSON.stringify(this.over)}\n${this.tail()}`);
      return ask();
    });
  }

  /** SIGTERM, and how it ended; by force, and an error, when it does not. */
  async stop() {
    this.kill('SIGTERM');
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.name} does not stop\n${this.tail()}`)), BOUND);
    });
    try {
      return await Promise.race([this.ended, late]);
    } finally {
      clearTimeout(timer);
      this.kill('SIGKILL');
      running.delete(this);
    }
  }

  kill(signal) {
    try {
      process.kill(-this.process.pid, signal);
    } catch {
      // The whole group is gone already.
    }
  }

  tail(count = 40) {
    return [`--- last lines of ${this.name}`, ...this.lines.slice(-count), '---'].join('\n');
  }
}

/** The status of an answer; redirects are not followed. */
export const status = async (url) => (await fetch(url, { redirect: 'manual' })).status;

/** Redis, provider, app and gateway, all answering. `more` gives further lines of the gateway's configuration, `variables`
 *  what it finds in its environment. */
export async function open(more = () => '', variables = () => ({})) {
  for (const [what, file] of [['the gateway (cargo build)', KEYCARD], ['Chromium', CHROMIUM]]) {
    if (!existsSync(file)) throw new Error(`${what} is not there: ${file}`);
  }
  const port = { redis: await freePort(), idp: await freePort(), app: await freePort(), gateway: await freePort() };
  const house = {
    port,
    origin: `http://localhost:${port.gateway}`,
    issuer: `http://127.0.0.1:${port.idp}`,
    children: [],
    record: join(scratch, 'app.jsonl'),
    config: join(scratch, 'keycard.toml'),
    sealingKey: randomBytes(32).toString('base64'),
    clientSecret: randomBytes(24).toString('base64url'),
  };
  writeFileSync(house.record, '');
  writeFileSync(house.config, configuration(house) + more(house), { mode: 0o600 });
  house.variables = variables(house);

  try {
    await openAll(house);
  } catch (error) {
    // What did start would keep this process alive.
    await close(house);
    throw error;
  }
  return house;
}

async function openAll(house) {
  const { port } = house;
  house.redis = start(house, 'redis', 'redis-server', ['--port', port.redis, '--bind', '127.0.0.1', '--save', '',
    '--appendonly', 'no', '--rdbcompression', 'no', '--dir', scratch]);
  house.idp = start(house, 'the provider', process.execPath, [join(HERE, 'idp.mjs'), port.idp, house.origin,
    house.clientSecret]);
  house.app = start(house, 'the app', 'php', ['-S', `127.0.0.1:${port.app}`, join(HERE, 'app.php')], {
    KEYCARD_APP_RECORD: house.record, PHP_CLI_SERVER_WORKERS: '4',
  });
  await house.redis.ready(() => answers(port.redis));
  await house.idp.ready(async () => await status(`${house.issuer}/.well-known/openid-configuration`) === 200);
  await house.app.ready(() => status(`http://127.0.0.1:${port.app}/started`));
  await openGateway(house);
}

/** Starts the gateway (again). It answers as soon as a page of its own does. */
export async function openGateway(house) {
  house.children = house.children.filter((child) => child !== house.gateway);
  house.gatewayLog = [...(house.gatewayLog ?? []), ...(house.gateway?.lines ?? [])];
  house.gateway = start(house, 'the gateway', KEYCARD, ['serve', '--config', house.config], house.variables);
  await house.gateway.ready(() => status(`http://127.0.0.1:${house.port.gateway}/`).then(() => true));
}

/** `keycard demo`, as soon as it has said all and answers: what its terminal says about where to go. */
export async function startDemo(args, env) {
  const demo = new Child('the demo', KEYCARD, ['demo', ...args], env);
  const said = (pattern) => demo.lines.map((line) => pattern.exec(line)?.[1]).find(Boolean);
  await demo.ready(async () => {
    demo.home = said(/^ {2}Open {6}(http:\S+)\/$/);
    demo.password = said(/^ {2}Password {2}(\S+)$/);
    demo.idp = said(/^The identity provider is at (http:\S+)\//);
    return demo.home && demo.password && demo.idp && await status(`${demo.home}/`) === 200;
  });
  return demo;
}

/** Ends everything; the gateway first, while what it leans on is still there. */
export async function close(house) {
  for (const child of house?.children ?? []) await child.stop();
}

/** Starts a process that ends with the house, before all that were started earlier. `options` are those of `spawn`. */
export function start(house, name, command, args, env, options) {
  const child = new Child(name, command, args.map(String), env, options);
  house.children.unshift(child);
  return child;
}

function configuration(house) {
  return `
[server]
listen = "127.0.0.1:${house.port.gateway}"
public_url = "${house.origin}"

[session]
store = "redis://127.0.0.1:${house.port.redis}/0"
keys = ["${house.sealingKey}"]

[[provider]]
id = "corp"
issuer = "${house.issuer}"
client_id = "keycard"
client_secret = "${house.clientSecret}"
scopes = ["openid", "profile", "email", "offline_access"]

[[route]]
path = "/"
upstream = "http://127.0.0.1:${house.port.app}"
access = "signed-in"
identity_headers = "remote-user"

[log]
format = "json"
`;
}

/** What reached the app since the last call, one object per request. */
export function arrivals(house) {
  const lines = readFileSync(house.record, 'utf8').split('\n').filter(Boolean);
  const fresh = lines.slice(house.seen ?? 0);
  house.seen = lines.length;
  return fresh.map((line) => JSON.parse(line));
}

/** Every line that the gateway logged, over all its starts. */
export function gatewayLog(house) {
  return [...house.gatewayLog, ...house.gateway.lines];
}

/** A page of another origin. `host` decides how far away: 127.0.0.1 is another site, localhost only another port. Under
 *  `sandboxed` the same page has the origin `null`. */
export async function foreignPage(host) {
  const server = createServer((req, res) => {
    res.setHeader('content-type', 'text/html; charset=utf-8');
    if (req.url === '/sandboxed') res.setHeader('content-security-policy', 'sandbox allow-scripts allow-forms');
    res.end('<!DOCTYPE html><title>elsewhere</title><link rel="icon" href="data:,"><body>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://${host}:${server.address().port}/`,
    close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  };
}

/** How Chromium is started: also as root, and without a word to the outside. */
export const chromium = {
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
};
