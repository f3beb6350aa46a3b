// Just enough of the Redis protocol to look at everything that a store holds.
//
// I own: one connection and its replies (RESP2). I may call: node:net. I never write to the store.

import { connect } from 'node:net';

/** Every key of database 0 with its value as DUMP writes it: all types alike; plain text stays plain text in it as
 *  long as the server runs with `rdbcompression no`. Both as buffers, keys also as text. */
export async function everything(port) {
  const redis = await open(port);
  try {
    const names = new Map();
    let cursor = '0';
    do {
      const [next, keys] = await redis.ask('SCAN', cursor, 'COUNT', '1000');
      keys.forEach((key) => names.set(key.toString('latin1'), key));
      cursor = next.toString();
    } while (cursor !== '0');
    const found = [];
    for (const [name, key] of names) {
      const value = await redis.ask('DUMP', key);
      if (value) found.push({ name, type: (await redis.ask('TYPE', key)).toString(), raw: Buffer.concat([key, value]) });
    }
    return found;
  } finally {
    redis.close();
  }
}

/** Whether a server answers PING. */
export async function answers(port) {
  const redis = await open(port);
  try {
    return (await redis.ask('PING')).toString() === 'PONG';
  } finally {
    redis.close();
  }
}

function open(port) {
  return new Promise((resolve, reject) => {
    const waiting = [];
    let buffer = Buffer.alloc(0);
    const socket = connect(port, '127.0.0.1');
    const fail = (error) => { reject(error); waiting.splice(0).forEach((w) => w.reject(error)); };
    socket.on('error', fail).on('close', () => fail(new Error('the store closed the connection')));
    socket.on('data', (chunk) => {
      buffer = Buffer.concat([buffer, chunk]);
      for (let reply; waiting.length && (reply = parse(buffer, 0));) {
        buffer = buffer.subarray(reply.end);
        const { resolve: answer, reject: refuse } = waiting.shift();
        reply.value instanceof Error ? refuse(reply.value) : answer(reply.value);
      }
    });
    socket.on('connect', () => resolve({
      ask: (...words) => new Promise((answer, refuse) => {
        waiting.push({ resolve: answer, reject: refuse });
        const parts = words.map((word) => Buffer.from(word));
        socket.write(Buffer.concat([Buffer.from(`*${parts.length}\r\n`),
          ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')])]));
      }),
      close: () => socket.destroy(),
    }));
  });
}

/** One reply from `at`, with where it ends; undefined if more bytes must come. */
function parse(buffer, at) {
  const eol = buffer.indexOf('\r\n', at);
  if (eol < 0) return undefined;
  const [kind, line, start] = [String.fromCharCode(buffer[at]), buffer.subarray(at + 1, eol), eol + 2];
  switch (kind) {
    case '+': case ':': return { value: line, end: start };
    case '-': return { value: new Error(line.toString()), end: start };
    case '$': {
      const length = Number(line);
      if (length < 0) return { value: null, end: start };
      return buffer.length < start + length + 2 ? undefined
        : { value: buffer.subarray(start, start + length), end: start + length + 2 };
    }
    case '*': {
      const value = [];
      let end = start;
      for (let left = Number(line); left > 0; left -= 1) {
        const item = parse(buffer, end);
        if (!item) return undefined;
        value.push(item.value);
        end = item.end;
      }
      return { value, end };
    }
    default: throw new Error(`not the Redis protocol: ${kind}`);
  }
}
