// Table T9: request smuggling (A28, A29, A31, A32; R70, R74, R75, R77 to R79), raw over TCP, through Keycard to real
// nginx, Apache and Node.js.
//
// I own: the table. I may call: everything in this folder. I never judge before all servers have ended: only then is
// what they say about themselves complete.
//
// node --test tests/smuggling/run.mjs     after `cargo build` and `tests/install`.
//
// Each row goes to each upstream in three lanes, on a connection of its own from an address of its own (all of 127/8 is
// ours), by which it is recognised at the upstream; and behind each row, in the same write, goes a canary: a request that
// no upstream may see unless it is read as one of its own and its own route lets it in.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { graded } from './corpus.mjs';
import { exchange, open } from './house.mjs';
import { byAddress, goesOnAfterClose, judge } from './judge.mjs';
import { mutations } from './mutations.mjs';
import { written } from './rows.mjs';
import { requests } from './strict.mjs';
import { stricter } from './stricter.mjs';

const AT_ONCE = 48;
/** How long an answer that is due may take, and how long silence is waited for where it is an answer too. */
const PATIENCE = 20_000;
const SILENCE = 700;
const MOST_MEMORY = 400 << 10;

/** A row with its text as a function of a lane. */
function rows() {
  const theirs = graded().map((request) => {
    const text = withBody(`${request.method} ${inFront(request.uri)} ${request.version}\r\nHost: {HOST}\r\n{MORE}${
      request.headers.filter(([name]) => name !== 'Host').map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    const grade = { severe: 'refused', ambiguous: 'either', acceptable: 'served', compliant: 'served' }[request.grade];
    const rule = stricter[request.id];
    return { id: `a28 ${request.id}: ${request.name}`, group: request.grade, text, grade: rule?.grade ?? grade, rule: rule?.why };
  });
  const mutated = mutations.map((row) => {
    const readable = requests(filled(row.text, LANES[0], 'x', 'x')).list.length > 0;
    return { ...row, group: 'mutations', grade: readable ? 'served' : 'refused' };
  });
  return [...theirs, ...mutated, ...written.map((row) => ({ ...row, group: row.id.split(':')[0] }))];
}

/** Their paths, under ours. */
const inFront = (uri) => (uri.startsWith('/') ? `{P}${uri}` : uri.replace('/', '{P}/'));

/** A graded request is a head. It gets the body that the strict reader expects, or else an empty last chunk where
 *  somebody could read chunks. */
function withBody(head) {
  const text = Buffer.from(head, 'utf8').toString('latin1');
  const { partial, list } = requests(text.replace('{MORE}', ''));
  if (partial?.framing.chunked) return `${text}5\r\nhello\r\n0\r\n\r\n`;
  if (partial ?? list.length > 0) return text + 'x'.repeat(partial?.framing.length ?? 0);
  return /chunk/i.test(text) ? `${text}0\r\n\r\n` : text;
}

const LANES = [
  { name: 'open', path: 'open', to: 'open', open: true },
  { name: 'open, canary guarded', path: 'open', to: 'guarded', open: false },
  { name: 'signed in, canary guarded', path: 'guarded', to: 'guarded', open: false, session: true },
];

function filled(text, lane, host, nowhere) {
  const inside = `GET ${lane.prefix}/inside HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  return text
    .replaceAll('{INSIDE#}', inside.length).replaceAll('{INSIDE+5}', inside.length + 5)
    .replaceAll('{INSIDE+0x}', inside.length.toString(16)).replaceAll('{INSIDE}', inside)
    .replaceAll('{MORE}', () => lane.more ?? '').replaceAll('{P}', lane.prefix).replaceAll('{HOST}', host)
    .replaceAll('{NOWHERE}', nowhere);
}

const table = rows();
const outcomes = new Map();
let house;
let astray;
let memory;

before(async () => {
  house = await open();
  const work = [];
  table.forEach((row, n) => house.names.forEach((name, u) => LANES.forEach((kind, l) => {
    if (row.once && (u > 0 || l > 0)) return;
    const prefix = `/${name}/${kind.path}`;
    const more = kind.session ? `Cookie: ${house.cookie}\r\nSec-Fetch-Site: same-origin\r\nOrigin: http://${house.host}\r\n` : '';
    const lane = { ...kind, prefix, upstream: `/${name}/`, more, canary: `/${name}/${kind.to}/canary/${n}` };
    const address = `127.${10 + u * LANES.length + l}.${(n + 1) >> 8}.${(n + 1) & 255}`;
    const text = filled(row.text, lane, house.host, `127.0.0.1:${house.canary.port}`);
    const sent = `${text}${row.canary ?? 'GET'} ${lane.canary} HTTP/1.1\r\nHost: ${house.host}\r\nConnection: close\r\n\r\n`;
    work.push({ row, lane, name, address, sent, host: house.host });
  })));
  const queue = work[Symbol.iterator]();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const item of queue) {
      const patience = item.row.grade === 'either' || item.row.mayWait ? SILENCE : PATIENCE;
      item.got = await exchange(house.port, item.address, item.sent, patience);
    }
  }));
  memory = house.mostMemory();
  const connections = await house.close();
  const reached = Object.fromEntries(Object.entries(connections).map(([name, list]) => [name, byAddress(list)]));
  astray = Object.fromEntries(Object.entries(reached).map(([name, found]) => [name, found.astray]));
  for (const item of work) {
    const arrived = reached[item.name].reached.get(item.address) ?? [];
    reached[item.name].reached.delete(item.address);
    outcomes.set(item.row, [...outcomes.get(item.row) ?? [], { item, arrived }]);
  }
  // What is left has no client of ours: the sign-in, and else nothing.
  for (const [name, { reached: rest }] of Object.entries(reached)) {
    for (const [address, list] of rest) {
      if (address === '127.0.0.1' && name === 'node' && list.length === 1) continue;
      astray[name].push(`from nobody (${address}): ${JSON.stringify(list.map(({ method, target }) => `${method} ${target}`))}`);
    }
  }
});

for (const row of table) {
  test(row.id, () => {
    const found = new Set();
    const wrong = [];
    for (const { item, arrived } of outcomes.get(row)) {
      try {
        found.add(judge({ ...item, arrived }));
      } catch (error) {
        wrong.push(`${item.name}, ${item.lane.name}: ${error.message}`);
      }
    }
    row.found = wrong.length > 0 ? 'WRONG' : [...found].sort().join(' or ');
    assert.deepEqual(wrong, []);
  });
}

for (const name of ['nginx', 'apache', 'node']) {
  test(`a28_r74 ${name} understands exactly what a strict reader reads`, () => assert.deepEqual(astray[name], []));
}

test('r74 an answer that announces the end of its connection is the last one', () => {
  const wrong = table.filter((row) => outcomes.get(row).some(({ item }) => goesOnAfterClose(item)));
  assert.equal(wrong.length, 0, `${wrong.length} rows, among them ${wrong.slice(0, 3).map(({ id }) => id)}`);
});

test('a31_r70 nobody was called whom no route names', () => assert.equal(house.canary.calls, 0));

test('a32 the gateway neither grew nor fell', () => {
  assert.ok(memory < MOST_MEMORY, `${memory} KiB`);
  assert.deepEqual(house.ended, { code: 0, signal: null });
  assert.deepEqual(house.log.join('').split('\n').filter((line) => /panicked|ERROR/.test(line)).slice(0, 5), []);
});

test('a28 all of the graded requests were there', () => {
  const count = (group) => table.filter((row) => row.group === group).length;
  assert.deepEqual(['severe', 'ambiguous', 'acceptable', 'compliant'].map(count), [58, 58, 15, 28]);
  assert.equal(new Set(table.map(({ id, text }) => id + text)).size, table.length, 'no row twice');
  const named = new Set(graded().map(({ id }) => id));
  assert.deepEqual(Object.keys(stricter).filter((id) => !named.has(id)), [], 'rules for rows that are not there');
});

test('a28 summary', () => {
  const groups = [...new Set(table.map(({ group }) => group))];
  const kinds = [...new Set(table.map(({ found }) => found))].sort();
  const width = Math.max(...groups.map((group) => group.length));
  console.log(`\n${''.padEnd(width)}   ${kinds.join('   ')}`);
  for (const group of groups) {
    const counts = kinds.map((kind) => table.filter((row) => row.group === group && row.found === kind).length);
    console.log(`${group.padEnd(width)}   ${counts.map((count, n) => String(count || '').padStart(kinds[n].length)).join('   ')}`);
  }
  console.log(`\n${[...outcomes.values()].flat().length} exchanges; the gateway had at most ${memory >> 10} MiB`);
  console.log('\nGraded requests that are fine by their authors, and refused here:');
  table.filter(({ rule }) => rule).forEach(({ id, rule }) => console.log(`  ${id}: ${rule}`));
});
