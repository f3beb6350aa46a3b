// nginx, Apache and Node.js as upstreams, each behind a tap that keeps every byte which Keycard sends to it.
//
// I own: their configurations, their logs of what they understood, the taps. I may call: the three servers, as children
// with files of their own. I never start a system service, and I never judge.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

const HEADERS_TAKEN = 128 << 10;
const BOUND = 15_000;

/** What an upstream says about each request: the port that it came from, its status, its first line. `X-Saw` repeats that
 *  line in the answer, so that an answer shows whose it is. */
const KINDS = {
  nginx(folder, port) {
    const path = (name) => join(folder, name);
    writeFileSync(path('nginx.conf'), `
daemon off; master_process off; worker_processes 1; pid ${path('pid')}; error_log ${path('error.log')};
events { worker_connections 4096; }
http {
  access_log off;
  log_format seen escape=json '{"port":$remote_port,"status":$status,"line":"$request"}';
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${path(kind)};`).join(' ')}
  client_max_body_size 0; keepalive_requests 1000000; large_client_header_buffers 16 128k;
  server {
    listen 127.0.0.1:${port};
    access_log ${path('seen.log')} seen;
    add_header X-Saw $request always;
    # By way of a second server, since a plain \`return\` would answer before it has read the body.
    location / { rewrite ^ /ok break; proxy_pass http://unix:${path('ok')}; }
  }
  server { listen unix:${path('ok')}; return 200 "ok\\n"; }
}`);
    return ['nginx', ['-c', path('nginx.conf'), '-e', path('error.log'), '-p', folder], 'SIGQUIT'];
  },

  apache(folder, port) {
    const path = (name) => join(folder, name);
    const modules = ['mpm_event', 'authz_core', 'alias', 'headers'];
    writeFileSync(path('page'), 'ok\n');
    writeFileSync(path('apache.conf'), `
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${path('pid')}
Mutex file:${folder} default
ErrorLog ${path('error.log')}
ServerName localhost
Listen 127.0.0.1:${port}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${process.getuid() === 0 ? 'User www-data\nGroup www-data' : ''}
LimitRequestFieldSize ${HEADERS_TAKEN}
LimitRequestLine ${HEADERS_TAKEN}
LimitRequestFields 0
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LogFormat "{\\"port\\":%{remote}p,\\"status\\":%>s,\\"line\\":\\"%r\\"}" seen
CustomLog ${path('seen.log')} seen
Header always set X-Saw "expr=%{THE_REQUEST}"
AliasMatch "^" "${path('page')}"
<Directory "/">
  AllowOverride None
  Require all granted
</Directory>`);
    return ['apache2', ['-f', path('apache.conf'), '-DFOREGROUND'], 'SIGTERM'];
  },
};

export const NAMES = [...Object.keys(KINDS), 'node'];

/** One upstream behind its tap. After `close()`: `connections`, each `{ sent, saw: [{ status, line }] }`. */
export async function openUpstream(name, scratch) {
  const server = name === 'node' ? await openNode() : await openServer(name, join(scratch, name));
  const tap = await openTap(server.port);
  return {
    name,
    port: tap.port,
    /** Ends tap and server; what both kept is complete then. */
    async close() {
      await tap.close();
      const seen = await server.close();
      return tap.connections.map(({ bytes, port }) => ({
        sent: Buffer.concat(bytes).toString('latin1'),
        saw: seen.filter((entry) => entry.port === port),
      }));
    },
  };
}

async function openServer(name, folder) {
  mkdirSync(folder);
  // Apache's workers are another user.
  chmodSync(folder, 0o755);
  const port = await freePort();
  const [command, args, peacefully] = KINDS[name](folder, port);
  // /usr/sbin is not on everybody's path, and both live there.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  // A group of its own, since Apache's workers outlive a parent that is killed.
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  const ended = new Promise((resolve) => { child.on('error', resolve).on('exit', resolve); });
  const killAll = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of them are gone.
    }
  };
  process.on('exit', killAll);
  const log = (file) => (existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '');
  const over = ended.then((how) => { throw new Error(`${name} ended (${how}): ${said}${log('error.log')}`); });
  over.catch(() => {});
  await Promise.race([over, reachable(port, name)]);
  return {
    port,
    async close() {
      child.kill(peacefully);
      const timer = setTimeout(killAll, BOUND);
      await ended;
      clearTimeout(timer);
      return log('seen.log').split('\n').filter(Boolean).map((line) => JSON.parse(line));
    },
  };
}

async function openNode() {
  const seen = [];
  const server = createHttp({ maxHeaderSize: HEADERS_TAKEN, requestTimeout: 0, headersTimeout: 0 }, async (req, res) => {
    const entry = { port: req.socket.remotePort, status: 0, line: `${req.method} ${req.url} HTTP/${req.httpVersion}` };
    seen.push(entry);
    res.setHeader('X-Saw', entry.line);
    try {
      for await (const part of req) void part;
    } catch {
      return;
    }
    entry.status = 200;
    res.end('ok\n');
  });
  server.on('clientError', (error, socket) => {
    if (error.code !== 'ECONNRESET') seen.push({ port: socket.remotePort, status: 400, line: `(${error.code})` });
    socket.destroy();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      return seen;
    },
  };
}

/** Passes everything on, both ways, and keeps what goes to the upstream. */
async function openTap(to) {
  const connections = [];
  const open = new Set();
  const server = createServer({ allowHalfOpen: true }, (inner) => {
    const outer = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
    const connection = { bytes: [], port: 0 };
    connections.push(connection);
    outer.on('connect', () => { connection.port = outer.localPort; });
    inner.on('data', (bytes) => connection.bytes.push(bytes));
    for (const [from, other] of [[inner, outer], [outer, inner]]) {
      from.pipe(other);
      open.add(from);
      from.on('error', () => other.destroy()).on('close', () => { open.delete(from); other.destroySoon(); });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    connections,
    async close() {
      open.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A listener that nobody has a reason to call; `calls` counts those who did. */
export async function openCanary() {
  const canary = { calls: 0 };
  const server = createServer((socket) => { canary.calls += 1; socket.destroy(); });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(canary, { port: server.address().port, close: () => server.close() });
}

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Waits until somebody listens. */
export async function reachable(port, name) {
  const deadline = Date.now() + BOUND;
  for (;;) {
    const there = await new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('connect', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
    });
    if (there) return;
    if (Date.now() > deadline) throw new Error(`${name} does not listen`);
    await new Promise((next) => setTimeout(next, 20));
  }
}
