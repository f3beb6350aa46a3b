// The server of a small single-page app, as its authors might run it.
//
// I own: the pages of spa/, the built client beside them, and an API. I may call: node alone. I never know who is there.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const CLIENT = join(HERE, '..', '..', 'client', 'dist');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript' };

/** What an app could write, by malice or for lack of a better idea: the gateway's 401, with a way of its own. */
const forged = (login_url) => JSON.stringify({
  type: 'urn:keycard:problem:sign-in-required', title: 'x', status: 401, login_url, correlation_id: 'x'.repeat(8),
});

const API = {
  '/spa/api/echo': (req) => [200, 'application/json', JSON.stringify({ csrf: req.headers['x-csrf'] ?? null })],
  '/spa/own-401': () => [401, 'application/json', '{"the app":"says no"}'],
  '/spa/forged-script': () => [401, 'application/problem+json', forged('javascript:report("forged",1)')],
  '/spa/forged-elsewhere': () => [401, 'application/problem+json', forged('//127.0.0.1:9/elsewhere')],
};

/** Listens at `port` of this machine. */
export async function serveSpa(port) {
  const server = createServer(async (req, res) => {
    const { pathname } = new URL(req.url, 'http://here');
    const [status, type, body] = API[pathname]?.(req) ?? await file(pathname);
    res.writeHead(status, { 'content-type': type, 'cache-control': 'no-cache' }).end(body);
  });
  await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  return { close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}

async function file(pathname) {
  const [, folder, name] = /^\/spa\/(client\/)?([\w-]+\.\w+)$/.exec(pathname) ?? [null, '', 'index.html'];
  try {
    const body = await readFile(join(folder ? CLIENT : join(HERE, 'spa'), name));
    return [200, TYPES[name.slice(name.lastIndexOf('.'))] ?? 'application/octet-stream', body];
  } catch {
    return [404, 'text/plain', 'not here'];
  }
}
