// Breaks the code on purpose, rule by rule, and demands that the named test notices.
//
//   node tests/mutations/run.mjs            every mutation, one by one (about twenty seconds each)
//   node tests/mutations/run.mjs --check    only that each still fits the source, and that every rule has one
//   node tests/mutations/run.mjs --sample 4 a few of them, others every day
//   node tests/mutations/run.mjs NAME …     those whose name contains one of the words
//
// A mutation is: the rules that it breaks, a file, a piece of text that occurs exactly once there, what stands in its
// place, and the test that must fail. It is applied to a copy of the tree, never to the tree itself. A mutation that
// does not compile counts as not applied: it proves nothing.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mutations, RULES } from './list.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
const copy = join(target, 'mutations');
const words = process.argv.slice(2);

// A mutation is one change, or several that only make sense together.
const changes = (mutation) => [mutation, ...(mutation.and ?? [])];

function fits(change) {
  const text = readFileSync(join(root, change.file), 'utf8');
  return text.split(change.find).length === 2;
}

function check() {
  const faults = mutations.flatMap((m) =>
    changes(m).filter((c) => !fits(c)).map((c) => `${m.name}: its text does not occur exactly once in ${c.file}`));
  const covered = new Set(mutations.flatMap((m) => m.rules));
  faults.push(...RULES.filter((rule) => !covered.has(rule)).map((rule) => `no mutation breaks ${rule}`));
  const names = mutations.map((m) => m.name);
  faults.push(...names.filter((name, at) => names.indexOf(name) !== at).map((name) => `two mutations are called ${name}`));
  for (const fault of faults) console.error(fault);
  console.log(`mutations: ${mutations.length}, rules covered: ${RULES.filter((rule) => covered.has(rule)).length} of ${RULES.length}`);
  return faults.length === 0;
}

function cargo(args) {
  return spawnSync('cargo', args, {
    cwd: copy,
    env: { ...process.env, CARGO_TARGET_DIR: target, CARGO_TERM_COLOR: 'never' },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
}

function run(mutation) {
  const sound = new Map(changes(mutation).map((c) => [join(copy, c.file), readFileSync(join(copy, c.file), 'utf8')]));
  try {
    for (const change of changes(mutation)) {
      const path = join(copy, change.file);
      writeFileSync(path, readFileSync(path, 'utf8').replace(change.find, () => change.replace));
    }
    const where = mutation.test.in === 'lib' ? ['--lib'] : ['--test', mutation.test.in];
    const built = cargo(['test', '--locked', ...where, '--no-run']);
    if (built.status !== 0) return `does not compile:\n${built.stderr.split('\n').filter((l) => l.startsWith('error')).join('\n')}`;
    const tested = cargo(['test', '--locked', ...where, mutation.test.name]);
    const ran = /test result: .*? (\d+) passed; (\d+) failed/.exec(tested.stdout);
    if (!ran || Number(ran[1]) + Number(ran[2]) === 0) return `no test is called ${mutation.test.name}`;
    return Number(ran[2]) > 0 ? null : 'survived: the test still passes';
  } finally {
    for (const [path, text] of sound) writeFileSync(path, text);
  }
}

function chosen() {
  const at = words.indexOf('--sample');
  if (at >= 0) {
    const count = Number(words[at + 1] ?? 4);
    const first = Math.floor(Date.now() / 86_400_000) * count;
    return Array.from({ length: Math.min(count, mutations.length) }, (_, i) => mutations[(first + i) % mutations.length]);
  }
  return words.length === 0 ? mutations : mutations.filter((m) => words.some((word) => m.name.includes(word)));
}

if (!check()) process.exit(1);
if (words.includes('--check')) process.exit(0);

rmSync(copy, { recursive: true, force: true });
mkdirSync(copy, { recursive: true });
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
for (const file of files.split('\0').filter(Boolean)) {
  try {
    cpSync(join(root, file), join(copy, file), { preserveTimestamps: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error; // listed, but deleted in the working tree
  }
}

let failed = 0;
const list = chosen();
for (const [at, mutation] of list.entries()) {
  const fault = run(mutation);
  if (fault) failed += 1;
  console.log(`[${at + 1}/${list.length}] ${mutation.rules.join(' ')} ${mutation.name}: ${fault ?? 'noticed'}`);
}
console.log(`mutations: ${list.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
