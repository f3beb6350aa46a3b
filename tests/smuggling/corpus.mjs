// The requests that the authors of `http_desync_guardian` graded, read from the package in cargo's registry.
//
// I own: where that package is, and the small part of YAML that its files use. I may call: cargo, offline. I never
// change a byte of a graded request, but for what `row` says: our host, our path in front, and a body for its framing.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGE = 'http_desync_guardian';

/** Where `cargo fetch` put the package. */
function folder() {
  const manifest = join(HERE, 'corpus', 'Cargo.toml');
  const told = execFileSync('cargo', ['metadata', '--offline', '--locked', '--format-version', '1', '--manifest-path',
    manifest], { encoding: 'utf8', maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'inherit'] });
  const found = JSON.parse(told).packages.find(({ name }) => name === PACKAGE);
  return { tests: join(dirname(found.manifest_path), 'tests'), version: found.version };
}

/** Every graded request: `{ source, name, grade, method, uri, version, headers: [[name, value]] }`. */
export function graded() {
  const { tests, version } = folder();
  const files = readdirSync(tests).filter((file) => file.endsWith('.yaml')).sort();
  return files.flatMap((file) => records(readFileSync(join(tests, file), 'utf8')).map((record, n) => ({
    source: `${PACKAGE} ${version}, ${file} ${n + 1}`,
    id: `${file.replace(/(-test-cases|-tests)?\.yaml$/, '')} ${n + 1}`,
    name: record.name,
    grade: record.tier.toLowerCase(),
    method: record.method,
    uri: record.uri,
    version: record.version,
    headers: record.headers,
  })));
}

/** A list of maps of scalars, with one list of maps of scalars (`headers`) and one map (`expected`) in each. */
function records(yaml) {
  const found = [];
  let section;
  for (const line of yaml.split('\n')) {
    const parts = /^( *)(- )?(?:([a-z_]+|\?):)(?: +(.*))?$/.exec(line);
    if (!parts || line.trim().startsWith('#')) continue;
    const [, indent, dash, key, rest] = parts;
    const record = found.at(-1);
    if (indent === '' && dash) {
      section = undefined;
      found.push({ headers: [], [key]: scalar(rest) });
    } else if (indent.length === 2 && !dash) {
      section = rest === undefined || rest.trim() === '' || rest.startsWith('#') ? key : undefined;
      if (['uri', 'method', 'version'].includes(key)) record[key] = unescape(scalar(rest ?? ''));
    } else if (section === 'headers' && dash) {
      record.headers.push([unescape(scalar(rest ?? '')), '']);
    } else if (section === 'headers' && key === 'value') {
      record.headers.at(-1)[1] = unescape(scalar(rest ?? ''));
    } else if (section === 'expected' && key === 'tier') {
      record.tier = scalar(rest);
    }
  }
  return found;
}

function scalar(text) {
  const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(text);
  if (quoted) {
    const named = { 0: '\0', n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', '"': '"', '\\': '\\', '/': '/' };
    return quoted[1].replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g, (_, x, u, other) => {
      if (x ?? u) return String.fromCharCode(parseInt(x ?? u, 16));
      if (!(other in named)) throw new Error(`an escape that this reader does not know: \\${other}`);
      return named[other];
    });
  }
  const single = /^'((?:[^']|'')*)'/.exec(text);
  return single ? single[1].replaceAll("''", "'") : text.replace(/ #.*$/, '').trimEnd();
}

/** The authors' own second pass: their harness decodes backslashes once more. */
function unescape(text) {
  const named = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|([\s\S]))/g, (_, hex, other) =>
    (hex ? String.fromCharCode(parseInt(hex, 16)) : named[other] ?? other));
}
