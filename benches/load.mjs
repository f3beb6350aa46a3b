// A steady load on gateways: so many requests per second, spread over sessions and gateways, until somebody says stop.
//
// node load.mjs PER_SECOND HOST PORT[,PORT...] COOKIE[,COOKIE...]
//
// SIGTERM ends it; it prints what it has done: requests, those that were not answered by 200, and per second.

import { connect } from 'node:net';

const [perSecond, host] = [Number(process.argv[2]), process.argv[3]];
const [ports, cookies] = [process.argv[4].split(',').map(Number), process.argv[5].split(',')];
const done = { requests: 0, failed: 0 };

/** A connection that asks one thing at a time; raw, so that the load itself costs little. */
class Line {
  constructor(port) {
    this.idle = true;
    this.socket = connect(port, '127.0.0.1').setNoDelay(true).on('error', () => { done.failed += 1; }).on('data', (data) => {
      // The app's answers are so short that they come in one piece.
      done.requests += 1;
      if (data.toString('latin1', 9, 12) !== '200') done.failed += 1;
      this.idle = true;
    });
  }

  ask(cookie) {
    this.idle = false;
    this.socket.write(`GET /load HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\r\n`);
  }
}

const lines = Array.from({ length: 32 }, (_, at) => new Line(ports[at % ports.length]));
const began = performance.now();
let asked = 0;
setInterval(() => {
  const due = Math.floor(((performance.now() - began) / 1000) * perSecond);
  for (const line of lines) {
    if (asked >= due) break;
    if (line.idle) { line.ask(cookies[asked % cookies.length]); asked += 1; }
  }
}, 1);
process.on('SIGTERM', () => {
  const seconds = (performance.now() - began) / 1000;
  console.log(JSON.stringify({ ...done, perSecond: Math.round(done.requests / seconds) }));
  process.exit(0);
});
