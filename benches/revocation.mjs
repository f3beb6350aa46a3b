// How long after an ending is a session still served by a gateway that was not asked?
//
// Two gateways as processes of their own, Redis a third, under a load of 1,000 requests per second. A session is warm at the
// second gateway and has a WebSocket open there; then it is ended: by an operator's call to the first gateway, by a logout
// token brought to the first gateway, or by a DEL in Redis. The time runs from the moment at which that answer is in hand,
// to the first refused answer in hand of somebody who asks the second gateway without a pause, and to the WebSocket's Close
// frame. What had happened before that moment counts as 0.
//
// Then what cannot be told: Redis frozen, the second gateway's feed frozen, the second gateway itself frozen and resumed.
//
// node revocation.mjs [TRIES] [FREEZES]

import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../tests/browser/house.mjs';
import { ask, figure, freePort, nap, open, quantile, redis, signIn } from './house.mjs';

const [tries, freezes] = [Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 10)];
const HERE = dirname(fileURLToPath(import.meta.url));
const AT_A_TIME = 20;

/** Between the second gateway and Redis: its feed can be frozen. Bytes pass as they come until then. */
async function openRelay(target) {
  const relay = { feeds: new Set(), port: await freePort() };
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1').setNoDelay(true);
    near.setNoDelay(true).on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.on('data', (data) => {
      if (data.includes('TRACKING')) { relay.feeds.add(far); far.on('close', () => relay.feeds.delete(far)); }
      far.write(data);
    });
    far.on('data', (data) => near.write(data));
  }).listen(relay.port, '127.0.0.1');
  relay.freeze = () => { relay.frozen = [...relay.feeds]; relay.frozen.forEach((feed) => feed.pause()); return relay.frozen.length; };
  relay.thaw = () => relay.frozen.forEach((feed) => feed.resume());
  relay.close = () => server.close();
  return relay;
}

/** Asks for a page without a pause, one request after the other on one connection. */
class Asker {
  constructor(house, gateway, cookie) {
    this.answers = [];
    const request = `GET /asked HTTP/1.1\r\nHost: ${house.host}\r\nCookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\r\n`;
    let sent;
    const next = () => { sent = performance.now(); this.socket.write(request); };
    this.refused = new Promise((resolve, reject) => {
      this.socket = connect(gateway.port, '127.0.0.1', next).setNoDelay(true).on('error', reject);
      this.socket.on('close', () => reject(new Error('the connection was closed')));
      this.socket.on('data', (data) => {
        const [at, status] = [performance.now(), Number(data.toString('latin1', 9, 12))];
        if (status === 200) { this.served = { at, sent }; this.count = (this.count ?? 0) + 1; if (this.count === 1) this.begin(); next(); }
        else { resolve({ at, status }); this.socket.destroy(); }
      });
    });
    this.refused.catch(() => {});
    this.begun = new Promise((begin) => { this.begin = begin; });
  }
}

/** A WebSocket that says nothing; when its Close frame comes, and with which code. */
function openSocket(house, gateway, cookie) {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1').setNoDelay(true).on('error', reject);
    let told;
    const closed = new Promise((tell) => { told = tell; });
    let open = false;
    socket.on('data', (data) => {
      if (!open) {
        if (!data.toString('latin1').startsWith('HTTP/1.1 101')) return reject(new Error(`no WebSocket: ${data.toString('latin1', 0, 40)}`));
        open = true;
        return resolve({ closed, destroy: () => socket.destroy() });
      }
      if (data[0] === 0x88) told({ at: performance.now(), code: data.readUInt16BE(2) });
    }).on('close', () => told({ at: performance.now(), code: undefined }));
    socket.write(`GET /socket HTTP/1.1\r\nHost: ${house.host}\r\nOrigin: ${house.origin}\r\nCookie: ${cookie}\r\nUpgrade: websocket\r\n`
      + `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`);
  });
}

const recordOf = (cookie) => {
  const ticket = decodeURIComponent(cookie.slice('keycard='.length)).slice(-43);
  return `keycard:s:${createHash('sha256').update(ticket).digest('base64url')}`;
};

const endings = {
  'an operator': async (house, { person }) => {
    const { status, text } = await ask({ ...house.gateways[0], port: house.gateways[0].admin }, 'admin', `/admin/sessions?user=${person}`,
      { authorization: `Bearer ${house.adminToken}` }, 'DELETE');
    if (status !== 200 || JSON.parse(text).ended !== 1) throw new Error(`not ended: ${status} ${text}`);
  },
  'a logout token': async (house, { token }) => {
    const { status } = await ask(house.gateways[0], house.host, '/bff/backchannel-logout',
      { 'content-type': 'application/x-www-form-urlencoded' }, 'POST', `logout_token=${token}`);
    if (status !== 200) throw new Error(`the logout token was answered with ${status}`);
  },
  'DEL in Redis': async (house, { cookie }) => {
    if (await redis(house.redisPort, 'DEL', recordOf(cookie)) !== '1') throw new Error('there was no such record');
  },
};

let people = 0;
async function newcomer(house, { token = false } = {}) {
  const person = `person-${people += 1}`;
  const cookie = await signIn(house, person);
  return { person, cookie, token: token && await (await fetch(`http://127.0.0.1:${house.idpPort}/logout-token?sub=${person}`)).text() };
}

/** One try: the two times in milliseconds. */
async function once(house, end, somebody) {
  const second = house.gateways[1];
  const [socket, asker] = [await openSocket(house, second, somebody.cookie), new Asker(house, second, somebody.cookie)];
  await asker.begun;
  await end(house, somebody);
  const zero = performance.now();
  const [refused, closed] = await Promise.all([asker.refused, socket.closed]);
  socket.destroy();
  if (closed.code !== 4401) throw new Error(`the WebSocket was closed with ${closed.code}`);
  if (refused.status !== 401) throw new Error(`refused with ${refused.status}`);
  return { refused: Math.max(0, refused.at - zero), closed: Math.max(0, closed.at - zero), served: Math.max(0, asker.served.sent - zero) };
}

async function told() {
  const house = await open(2);
  let load;
  try {
    const crowd = [];
    for (let at = 0; at < 50; at += 1) crowd.push(await signIn(house, `crowd-${at}`));
    load = new Child('the load', process.execPath, [join(HERE, 'load.mjs'), '1200', house.host, house.gateways.map(({ port }) => port).join(), crowd.join()]);
    await nap(1000);
    for (const [name, end] of Object.entries(endings)) {
      const times = [];
      while (times.length < tries) {
        const some = await Promise.all(Array.from({ length: Math.min(AT_A_TIME, tries - times.length) }, () => newcomer(house, { token: true })));
        for (const somebody of some) times.push(await once(house, end, somebody));
      }
      for (const [what, of] of [['the first refused answer', 'refused'], ['the Close frame', 'closed']]) {
        const all = times.map((time) => time[of]);
        const [half, most, worst] = [0.5, 0.99, 1].map((part) => quantile(all, part));
        figure(`from ${name} to ${what}, ${all.length} tries`, `p50 ${half.toFixed(2)} ms, p99 ${most.toFixed(2)} ms, worst ${worst.toFixed(2)} ms`,
          'p50 < 1 ms, p99 < 10 ms', half < 1 && most < 10);
      }
      const late = times.map((time) => time.served);
      figure('  the last request that was sent later and still served', `p99 ${quantile(late, 0.99).toFixed(2)} ms, worst ${quantile(late, 1).toFixed(2)} ms`);
    }
    load.kill('SIGTERM');
    await load.ended;
    const { requests, failed, perSecond } = JSON.parse(load.lines.at(-1));
    figure('load meanwhile', `${perSecond} requests/s, ${failed} of ${requests} failed`, '1,000 requests/s, none failed', perSecond >= 1000 && failed === 0);
  } finally {
    load?.kill('SIGKILL');
    await house.close();
  }
}

/** What cannot be told: how long after the ending somebody was still served who asked without a pause. */
async function untold() {
  let relay;
  const house = await open(2, {
    session: 'outage_grace = "0s"',
    feed: async (at, { redisPort }) => { if (at === 1) { relay = await openRelay(redisPort); return relay.port; } },
  });
  const [, second] = house.gateways;
  const freezing = {
    'Redis frozen (outage_grace = "0s")': async () => {
      const asker = new Asker(house, second, (await newcomer(house)).cookie);
      await asker.begun;
      await nap(500 + 500 * Math.random());
      house.redis.kill('SIGSTOP');
      const zero = performance.now();
      await asker.refused;
      house.redis.kill('SIGCONT');
      return asker.served.sent - zero;
    },
    'the feed frozen, DEL in Redis': async () => {
      const { cookie } = await newcomer(house);
      const asker = new Asker(house, second, cookie);
      await asker.begun;
      await nap(500 + 500 * Math.random());
      if (relay.freeze() !== 1) throw new Error('there is not one feed');
      await redis(house.redisPort, 'DEL', recordOf(cookie));
      const zero = performance.now();
      await asker.refused;
      relay.thaw();
      return asker.served.sent - zero;
    },
    'the gateway frozen and resumed, DEL in Redis': async () => {
      const { cookie } = await newcomer(house);
      const asker = new Asker(house, second, cookie);
      await asker.begun;
      second.child.kill('SIGSTOP');
      // A request that was under way is answered from before the ending.
      await redis(house.redisPort, 'DEL', recordOf(cookie));
      const zero = performance.now();
      await nap(100 + 1900 * Math.random());
      second.child.kill('SIGCONT');
      const resumed = performance.now();
      await asker.refused;
      return Math.max(asker.served.sent - zero, asker.served.at - resumed);
    },
  };
  try {
    for (const [what, freeze] of Object.entries(freezing)) {
      const all = [];
      for (let at = 0; at < freezes; at += 1) {
        all.push(Math.max(0, await freeze()));
        // Until everything is well again.
        await nap(1500);
        for (let well = false; !well; await nap(50)) {
          well = (await Promise.all(house.gateways.map(async ({ health }) => (await (await fetch(`http://127.0.0.1:${health}/readyz`)).json()).feed))).every((is) => is === 'up');
        }
      }
      figure(`${what}: served for at most, ${all.length} tries`, `${quantile(all, 1).toFixed(0)} ms (half within ${quantile(all, 0.5).toFixed(0)} ms)`, 'at most 1,000 ms', quantile(all, 1) <= 1000);
    }
  } finally {
    house.redis.kill('SIGCONT');
    second.child.kill('SIGCONT');
    relay?.close();
    await house.close();
  }
}

await told();
await untold();
process.exit(0);
