// An app that sends WebSocket messages without end, and pays no heed to where a frame ends when it writes.
//
// I own: a page, the server's side of RFC 6455 by hand, and what was sent. I may call: node alone. I never know of
// Keycard, and I never write by the clock: a pause is a turn of the event loop.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { constants, deflateRawSync } from 'node:zlib';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const SIZES = [0, 1, 125, 126, 65_535, 65_536, 200_000];
/** How many messages may be under way to one page: it has to be slow enough to be watched. */
const AHEAD = 2;
const [TEXT, BINARY, PING] = [1, 2, 9];

const page = `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>torrent</title><link rel="icon" href="data:,">
<main id="app">A torrent of messages</main></html>`;

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function dice(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  /** A whole number from `low` up to and including `high`. */
  const within = (low, high) => low + Math.floor(next() * (high - low + 1));
  return { within, one: (list) => list[within(0, list.length - 1)], often: (share) => next() < share };
}

/** A frame as a server sends it: no mask. */
function frame(opcode, payload, { fin = true, deflated = false } = {}) {
  const first = (fin ? 0x80 : 0) | (deflated ? 0x40 : 0) | opcode;
  let head;
  if (payload.length < 126) {
    head = Buffer.from([first, payload.length]);
  } else if (payload.length < 65_536) {
    head = Buffer.from([first, 126, 0, 0]);
    head.writeUInt16BE(payload.length, 2);
  } else {
    head = Buffer.alloc(10);
    head.set([first, 127]);
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** What a message says: characters of two, three and four bytes, so that one that is cut off is not UTF-8. */
const words = (size) => 'ä€😀'.repeat(Math.floor(size / 9)) + 'x'.repeat(size % 9);

/** One message in one frame or several, with pings between them; `length` is what the page will see of it. */
function message(roll, deflates) {
  const [size, isText] = [roll.one(SIZES), roll.often(0.5)];
  const text = isText ? words(size) : '';
  let payload = isText ? Buffer.from(text) : Buffer.alloc(size, roll.within(0, 255));
  if (deflates) {
    // RFC 7692 section 7.2.1: what the flush ends with is left out.
    payload = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH, level: roll.one([0, 1]) }).subarray(0, -4);
  }
  const pieces = roll.often(0.4) ? roll.within(2, 5) : 1;
  const cuts = Array.from({ length: pieces - 1 }, () => roll.within(0, payload.length)).sort((a, b) => a - b);
  const frames = [];
  [...cuts, payload.length].forEach((end, n) => {
    const start = n === 0 ? 0 : cuts[n - 1];
    const opcode = n > 0 ? 0 : isText ? TEXT : BINARY;
    frames.push(frame(opcode, payload.subarray(start, end), { fin: n === pieces - 1, deflated: deflates && n === 0 }));
    if (roll.often(0.2)) frames.push(frame(PING, Buffer.alloc(roll.one([0, 1, 125]), 0x70)));
  });
  return { bytes: Buffer.concat(frames), length: isText ? text.length : size };
}

/** A message that says so, and the beginning of a frame that never goes on; in one piece, so that whoever has read the
 *  one has read the other. */
function lastWords(roll) {
  const next = frame(BINARY, Buffer.alloc(roll.one(SIZES.filter((size) => size > 0)), 0x88));
  return Buffer.concat([frame(TEXT, Buffer.from('stalled')), next.subarray(0, roll.within(1, Math.min(next.length - 1, 4_000)))]);
}

/** Listens at `port`, below /ws/. `/ws/torrent?seed=…&kind=plain|deflate|stall` is a torrent; what `sent(seed)` gives
 *  are the lengths of its messages. */
export async function openTorrents(port) {
  const sent = new Map();
  const sockets = new Set();
  const server = createServer((_, res) => res.setHeader('content-type', 'text/html; charset=utf-8').end(page));
  server.on('upgrade', (req, socket) => {
    sockets.add(socket);
    // An ending tears the connection down under us: that is what all this is about.
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    const query = new URL(req.url, 'http://here').searchParams;
    const deflates = query.get('kind') === 'deflate';
    socket.setNoDelay(true).write(['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${createHash('sha1').update(req.headers['sec-websocket-key'] + GUID).digest('base64')}`,
      ...deflates ? ['Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover'] : [], '', ''].join('\r\n'));
    const seed = Number(query.get('seed'));
    const lengths = [];
    sent.set(seed, lengths);
    pour(socket, dice(seed), { deflates, messages: query.get('kind') === 'stall' ? 6 : Infinity, lengths, answers: answers(socket) });
  });
  await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  return {
    sent: (seed) => sent.get(seed),
    close: () => new Promise((resolve) => {
      sockets.forEach((socket) => socket.destroy());
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}

/** Counts what the page sends back: one short frame for each message. */
function answers(socket) {
  let [count, rest, go] = [0, Buffer.alloc(0), () => {}];
  socket.on('close', () => go()).on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 6 + (rest[1] & 0x7f)) {
      // Pongs are none.
      if ((rest[0] & 0x0f) <= BINARY) count += 1;
      rest = rest.subarray(6 + (rest[1] & 0x7f));
    }
    go();
  });
  return async (wanted) => {
    while (count < wanted && !socket.destroyed) await new Promise((resolve) => { go = resolve; });
  };
}

async function pour(socket, roll, { deflates, messages, lengths, answers: answered }) {
  let bytes = Buffer.alloc(0);
  for (let said = 0; said < messages && !socket.destroyed;) {
    // Never within a frame: nothing is heard of a page any more once its session has ended.
    if (bytes.length === 0) await answered(said - AHEAD);
    // Now and then several messages wait, so that a piece may hold the end of one frame and the beginning of another.
    while (said < messages && (bytes.length === 0 || roll.often(0.3))) {
      const next = message(roll, deflates);
      lengths.push(next.length);
      bytes = Buffer.concat([bytes, next.bytes]);
      said += 1;
    }
    const most = roll.one([3, 20_000, 120_000, 300_000]);
    for (let pieces = roll.within(1, 6); pieces > 0 && bytes.length > 0; pieces -= 1) {
      const length = Math.min(bytes.length, roll.within(1, most));
      await write(socket, bytes.subarray(0, length));
      bytes = bytes.subarray(length);
      if (roll.often(0.3)) await new Promise(setImmediate);
    }
  }
  if (!socket.destroyed) await write(socket, Buffer.concat([bytes, lastWords(roll)]));
}

/** Writes, and waits while the other side does not read. */
function write(socket, bytes) {
  if (socket.destroyed || socket.write(bytes)) return undefined;
  return new Promise((resolve) => {
    const go = () => { socket.off('drain', go).off('close', go); resolve(); };
    socket.on('drain', go).on('close', go);
  });
}
