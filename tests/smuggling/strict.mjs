// The strictest reader of HTTP/1.1 that there is: what it takes, everybody reads alike.
//
// I own: the grammar of RFC 9112, without one of its leniences. I may call: nothing. I never guess, and I never repair.
// Bytes are held as Latin-1 text throughout, one character per byte.

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const TARGET = /^[\x21-\x7e]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CHUNK = /^([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?$/;

class Malformed extends Error {}
class Incomplete extends Error {}

/** Reads as many requests as there are. `end` says how it ended: "complete" at a boundary, "incomplete" within a
 *  request, whose beginning is then in `partial` if its head was whole, or "malformed", and `why`. */
export function requests(text) {
  return messages(text, (reader) => {
    const line = reader.line();
    const [method, target, version, more] = line.split(' ');
    if (more !== undefined || !TOKEN.test(method) || !TARGET.test(target ?? '')) throw new Malformed('request line');
    if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') throw new Malformed('version');
    const headers = reader.fields();
    if (all(headers, 'host').length !== 1) throw new Malformed('host');
    return { method, target, version, headers, framing: framing(headers, version) ?? { length: 0 } };
  });
}

/** The same for responses; `methods` are those of the requests, in order. `closed` says that no more will come. */
export function responses(text, methods, closed) {
  let count = 0;
  return messages(text, (reader) => {
    const found = /^HTTP\/1\.[01] (\d{3})( [\t\x20-\x7e\x80-\xff]*)?$/.exec(reader.line());
    if (!found) throw new Malformed('status line');
    const status = Number(found[1]);
    const headers = reader.fields();
    if (status < 200 && status !== 101) return { status, headers, framing: { length: 0 }, interim: true };
    const toHead = methods[count++] === 'HEAD';
    const told = framing(headers, 'HTTP/1.1');
    const none = toHead || status === 204 || status === 304 || status === 101;
    return { status, headers, framing: none ? { length: 0 } : told ?? { toTheEnd: closed } };
  });
}

/** The values of a field. */
export const all = (headers, name) => headers.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);

function messages(text, head) {
  const list = [];
  const reader = new Reader(text);
  let partial;
  try {
    while (reader.at < text.length) {
      partial = undefined;
      const message = head(reader);
      partial = message;
      message.body = reader.body(message.framing);
      list.push(message);
    }
    return { list, end: 'complete' };
  } catch (error) {
    if (error instanceof Incomplete) return { list, end: 'incomplete', partial };
    if (error instanceof Malformed) return { list, end: 'malformed', why: error.message, partial };
    throw error;
  }
}

function framing(headers, version) {
  const codings = all(headers, 'transfer-encoding');
  const lengths = all(headers, 'content-length');
  if (codings.length + lengths.length > 1) throw new Malformed('framing told twice');
  if (codings.length === 1) {
    if (version !== 'HTTP/1.1' || codings[0].toLowerCase() !== 'chunked') throw new Malformed('transfer coding');
    return { chunked: true };
  }
  if (lengths.length === 0) return undefined;
  if (!/^\d{1,15}$/.test(lengths[0])) throw new Malformed('length');
  return { length: Number(lengths[0]) };
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  line() {
    const end = this.text.indexOf('\n', this.at);
    if (end < 0) {
      if (/[\0\r](?!$)/.test(this.text.slice(this.at, this.at + 100_000))) throw new Malformed('CR or NUL');
      throw new Incomplete();
    }
    const line = this.text.slice(this.at, end);
    if (!line.endsWith('\r') || /[\0\r]/.test(line.slice(0, -1))) throw new Malformed('line ending');
    this.at = end + 1;
    return line.slice(0, -1);
  }

  fields() {
    const fields = [];
    for (let line = this.line(); line !== ''; line = this.line()) {
      const colon = line.indexOf(':');
      const [name, value] = [line.slice(0, colon), line.slice(colon + 1)];
      if (colon < 0 || !TOKEN.test(name) || !VALUE.test(value)) throw new Malformed('field');
      fields.push([name, value.replace(/^[\t ]+|[\t ]+$/g, '')]);
    }
    return fields;
  }

  body({ length, chunked, toTheEnd }) {
    if (chunked) return this.chunks();
    if (toTheEnd !== undefined) {
      if (!toTheEnd) throw new Incomplete();
      return this.take(this.text.length - this.at);
    }
    return this.take(length);
  }

  chunks() {
    const parts = [];
    for (;;) {
      const found = CHUNK.exec(this.line());
      if (!found) throw new Malformed('chunk');
      const size = parseInt(found[1], 16);
      if (size === 0) break;
      parts.push(this.take(size));
      const end = this.text.slice(this.at, this.at + 2);
      if (end !== '\r\n') throw '\r\n'.startsWith(end) ? new Incomplete() : new Malformed('end of chunk');
      this.at += 2;
    }
    this.fields();
    return parts.join('');
  }

  take(length) {
    if (this.text.length - this.at < length) throw new Incomplete();
    this.at += length;
    return this.text.slice(this.at - length, this.at);
  }
}
