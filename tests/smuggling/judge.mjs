// What must hold for a row, told from what was sent, what came back, and what reached the upstream.
//
// I own: every rule of table T9. I may call: `strict`. I never look at a status alone: what counts is what an upstream
// got to see.

import { all, requests, responses } from './strict.mjs';

/** What reached an upstream, by the address of the client that Keycard named; `astray` is what nobody can have sent. */
export function byAddress(connections) {
  const reached = new Map();
  const astray = [];
  for (const { sent, saw } of connections) {
    const read = requests(sent);
    const arrived = read.list.map((request) => ({ ...request, whole: true }));
    if (read.partial) arrived.push({ ...read.partial, whole: false });
    for (const request of arrived) {
      const address = all(request.headers, 'x-forwarded-for').join(' and ');
      reached.set(address, [...reached.get(address) ?? [], request]);
    }
    if (read.end === 'malformed') astray.push(`not HTTP (${read.why}): ${JSON.stringify(sent.slice(-300))}`);
    // The server behind the tap must have understood exactly this; of a request that broke off it may have noted the
    // first line, and its own 400 or 408, or nothing.
    const told = arrived.map(({ method, target, version }) => `${method} ${target} ${version}`);
    const whole = read.list.length;
    const lines = saw.map(({ line }) => line);
    const agree = told.slice(0, whole).every((line, n) => lines[n] === line) && lines.slice(whole).every((line) =>
      read.end === 'incomplete' && (line === '' || line === told[whole] || line.startsWith('(HPE_INVALID_EOF')));
    const fine = saw.slice(0, whole).every(({ status }) => status !== 400);
    if (!agree || !fine) astray.push(`sent ${JSON.stringify(told)}, understood ${JSON.stringify(saw)}`);
  }
  return { reached, astray };
}

/** Judges one exchange. Gives what came of it ("served", "refused", "silent", "broken off"), or throws what is wrong.
 *
 *  `sent` is the row and its canary, `row` its grade, `lane` where both go, `got` the answer, `arrived` what reached the
 *  upstream from this client. */
export function judge({ row, lane, host, sent, got, arrived }) {
  const meant = requests(sent).list;
  const canaries = arrived.filter(({ target }) => target === lane.canary);
  const own = arrived.filter(({ target }) => target !== lane.canary);
  for (const request of arrived) check(request, { host, lane });
  hold(canaries.length <= 1, 'the canary arrived twice');
  hold(own.length <= 1, () => `several requests came of one: ${own.map(({ method, target }) => `${method} ${target}`)}`);
  hold(lane.open || canaries.length === 0, 'a canary without a session reached a guarded route');
  hold(canaries.every(({ method, body, whole }) => method === (row.canary ?? 'GET') && !(whole && body)), 'the canary changed');

  const answers = read(sent, got, row.canary ?? 'GET');
  const statuses = answers.map(({ status }) => status);
  // Whoever answered, its answer goes to the request that it is for.
  const saw = answers.flatMap(({ headers }) => all(headers, 'x-saw'));
  const forwarded = [...own, ...canaries].map(({ method, target }) => `${method} ${target} HTTP/1.1`);
  hold(saw.every((line, n) => line === forwarded[n]) || saw.every((line) => line === forwarded[1]),
    () => `answers to ${JSON.stringify(saw)} for requests ${JSON.stringify(forwarded)}`);

  const outcome = outcomeOf({ own, canaries, statuses, got });
  if (row.grade === 'served') {
    hold(outcome === 'served', () => `not served but ${outcome}: ${statuses}`);
    same(own[0], meant[0], host);
    hold(statuses.length === 2, () => `two answers were due, not ${statuses}`);
    hold(lane.open ? canaries.length === 1 : [401, 403, 302].includes(statuses[1]), () => `the canary got ${statuses[1]}`);
  } else if (row.grade === 'refused') {
    hold(outcome === 'refused', () => `not refused but ${outcome}: ${statuses}${got.closed ? '' : ', and open'}`);
  } else if (row.grade === 'declined') {
    // It is in order as a request, so what follows may be one too.
    hold(outcome === 'refused' || outcome === 'declined', () => `not declined but ${outcome}: ${statuses}`);
  } else if (row.grade === 'broken') {
    hold(own.every(({ whole }) => !whole), 'a request whose body is broken reached the upstream whole');
    hold(canaries.length === 0, 'the canary went through');
    hold(got.closed || row.mayWait, () => `the connection stays open after ${statuses}`);
    hold(statuses.length <= 1 && statuses.every(isRefusal), () => `answered ${statuses}`);
  } else {
    const safe = ['served', 'refused', 'silent', 'broken off'].includes(outcome) || (meant[0] && outcome === 'declined');
    hold(safe, () => `neither refused nor forwarded: ${statuses}${got.closed ? '' : ', and open'}`);
    // Where the strict reader has a reading, there is no other.
    if (own[0]?.whole && meant[0]) same(own[0], meant[0], host);
    hold(!own[0]?.whole || !own[0].body.includes(lane.canary) || canaries.length === 0, 'the canary was used twice');
  }
  return outcome;
}

const isRefusal = (status) => (status >= 400 && status < 500) || status === 501 || status === 505;

function outcomeOf({ own, canaries, statuses, got }) {
  if (own[0]?.whole) return 'served';
  if (own.length > 0) return 'broken off';
  if (statuses.length === 1 && isRefusal(statuses[0]) && got.closed && canaries.length === 0) return 'refused';
  // The end is announced, and the gateway waits a moment for what was sent before anybody could know.
  if (statuses.length === 1 && isRefusal(statuses[0]) && canaries.length === 0 && /\r\nconnection: close\r\n/i.test(got.text)) return 'declined';
  if (statuses.length === 0 && !got.closed && canaries.length === 0) return 'silent';
  if (statuses.length === 2 && isRefusal(statuses[0])) return 'declined';
  return 'odd';
}

/** Every request that goes to an upstream is of one form. */
function check({ method, target, version, headers }, { host, lane }) {
  const names = headers.map(([name]) => name.toLowerCase());
  const folded = names.map((name) => name.replace(/[^a-z0-9]/g, '-'));
  hold(version === 'HTTP/1.1', `sent on as ${version}`);
  hold(all(headers, 'host')[0] === host, 'sent on with another Host');
  hold(all(headers, 'via').some((via) => via.endsWith('keycard')), `not from the gateway: ${method} ${target}`);
  hold(target.startsWith(lane.upstream), `the route of another upstream: ${target}`);
  hold(!target.includes('/inside'), `what was content became a request: ${method} ${target}`);
  hold(lane.session || !target.includes('/guarded'), `a guarded route without a session: ${target}`);
  for (const name of ['transfer-encoding', 'content-length']) {
    hold(folded.filter((other) => other === name).length <= Number(names.includes(name)), `a second ${name}`);
  }
  for (const name of ['connection', 'upgrade', 'http2-settings', 'te', 'trailer', 'keep-alive', 'proxy-connection',
    'proxy-authorization', 'expect', 'proxy', 'x-original-url', 'x-rewrite-url', 'x-original-host', 'forwarded']) {
    hold(!folded.includes(name), `${name} went on`);
  }
  hold(all(headers, 'x-forwarded-host').join() === host, 'X-Forwarded-Host is not ours');
}

/** What arrived is what the strict reader read. */
function same(arrived, meant, host) {
  hold(arrived.method === meant.method, () => `the method became ${arrived.method}`);
  const [path, ...query] = meant.target.replace(`http://${host}`, '').split('#')[0].split('?');
  const canonical = path.replace(/%[0-9a-fA-F]{2}/g, (triplet) => {
    const char = String.fromCharCode(parseInt(triplet.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(char) ? char : triplet.toUpperCase();
  });
  const target = [canonical, ...query].join('?');
  hold(arrived.target === target, () => `the target became ${arrived.target}`);
  hold(arrived.body === meant.body, () =>
    `the body became ${JSON.stringify(arrived.body.slice(0, 80))}, ${arrived.body.length} bytes for ${meant.body.length}`);
}

/** The final answers, strictly read. What refuses a HEAD before it knows that it is one may have a body. */
function read(sent, got, canary) {
  let last;
  for (const first of sent.startsWith('HEAD ') ? ['HEAD', 'GET'] : ['GET']) {
    last = responses(got.text, [first, canary], got.closed);
    if (last.end === 'complete') return last.list.filter(({ interim }) => !interim);
  }
  throw new Error(`an answer that is none (${last.why ?? last.end}): ${JSON.stringify(got.text.slice(0, 400))}`);
}

/** Whether an answer that announces the end has another behind it (RFC 9112 section 9.6). */
export function goesOnAfterClose({ sent, got, row }) {
  const { list } = responses(got.text, [sent.startsWith('HEAD ') ? 'HEAD' : 'GET', row.canary ?? 'GET'], got.closed);
  return list.slice(0, -1).some(({ headers }) => all(headers, 'connection').some((value) => /\bclose\b/i.test(value)));
}

function hold(condition, otherwise) {
  if (!condition) throw new Error(typeof otherwise === 'function' ? otherwise() : otherwise);
}
