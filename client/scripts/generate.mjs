// The types of the client, from the description of the endpoints.
//
// I own: src/api.ts, every byte of it. I may call: yaml, docs/openapi.yaml. I never guess: a keyword of JSON Schema that I
// do not know is an error, as in the Rust tests that read the same file.
//
// node scripts/generate.mjs [--check]     --check writes nothing, and fails when the file is not what would be written

import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';

const SOURCE = new URL('../../docs/openapi.yaml', import.meta.url);
const TARGET = new URL('../src/api.ts', import.meta.url);
/** The prefix as the description has it; at run time it is whatever the client was given. */
const PREFIX = '/bff';
/** What a page has to do with. The rest is between Keycard, providers and operators. */
const ENDPOINTS = ['/login', '/user', '/sessions', '/sessions/{handle}', '/events', '/logout', '/signed-out'];

/** What stands in src/api.ts, by right. */
export function generate(source = readFileSync(SOURCE, 'utf8')) {
  const api = parse(source);
  const ours = ENDPOINTS.map((name) => [name, api.paths[PREFIX + name]]);
  const wanted = new Set();
  const types = new Types(api, wanted);

  const paths = [];
  const queries = [];
  for (const [path, item] of ours) {
    if (!item) throw new Error(`${path} is not described any more`);
    // What has a parameter in it stands below one that has none.
    if (!path.includes('{')) paths.push(`  ${path.slice(1).replace(/-(\w)/g, (_, c) => c.toUpperCase())}: '${path}',`);
    for (const [method, operation] of Object.entries(item)) {
      const { operationId, parameters = [] } = operation;
      if (['login', 'user'].includes(operationId)) queries.push(query(operationId, method, parameters, types));
      for (const answer of Object.values(operation.responses)) types.mention(answer);
    }
  }
  const schemas = [];
  const done = new Set();
  while (wanted.size > done.size) {
    for (const name of wanted) {
      if (done.has(name)) continue;
      done.add(name);
      const schema = api.components.schemas[name];
      schemas.push([name, `${comment(schema, '')}export interface ${name} ${types.of(schema, '')}\n`]);
    }
  }
  schemas.sort(([a], [b]) => a.localeCompare(b));
  return [
    '// Made by scripts/generate.mjs from docs/openapi.yaml: change that one, then `npm run generate`.\n',
    `/** Where Keycard's endpoints are, below \`server.prefix\`. */\nexport const paths = {\n${paths.join('\n')}\n} as const;\n`,
    ...queries,
    ...schemas.map(([, text]) => text),
  ].join('\n');
}

function query(operationId, method, parameters, types) {
  const name = `${operationId[0].toUpperCase()}${operationId.slice(1)}Query`;
  const members = parameters.filter((parameter) => parameter.in === 'query').map((parameter) =>
    `${comment(parameter, '  ')}  ${parameter.name}${parameter.required ? '' : '?'}: ${types.of(parameter.schema, '  ')};\n`);
  return `/** The query of \`${method.toUpperCase()} ${operationId}\`. */\nexport interface ${name} {\n${members.join('')}}\n`;
}

function comment({ description }, indent) {
  return description ? `${indent}/** ${description.trim().replace(/\s*\n\s*/g, ' ')} */\n` : '';
}

class Types {
  constructor(api, wanted) {
    this.api = api;
    this.wanted = wanted;
  }

  /** Notes every schema that an answer's JSON has, events of a stream included. */
  mention(answer) {
    const at = answer.$ref ? this.api.components.responses[answer.$ref.split('/').pop()] : answer;
    for (const content of Object.values(at.content ?? {})) {
      for (const schema of [content.schema, ...Object.values(content['x-events'] ?? {})]) {
        if (schema) this.of(schema, '');
      }
    }
  }

  /** The TypeScript of a schema. */
  of(schema, indent) {
    const { $ref, type, properties, required = [], items, additionalProperties, enum: words, const: one, ...rest } = schema;
    for (const keyword of Object.keys(rest)) {
      if (!['description', 'format', 'minLength', 'minimum', 'maximum', 'default'].includes(keyword)) {
        throw new Error(`nobody taught the generator '${keyword}'`);
      }
    }
    if ($ref) {
      const name = $ref.split('/').pop();
      this.wanted.add(name);
      return name;
    }
    if (one !== undefined) return JSON.stringify(one).replace(/^"(.*)"$/, "'$1'");
    if (words) return words.map((word) => `'${word}'`).join(' | ');
    if (Array.isArray(type)) return type.map((each) => this.of({ ...schema, type: each, description: undefined }, indent)).join(' | ');
    switch (type) {
      case 'string': case 'boolean': case 'null': return type;
      case 'integer': case 'number': return 'number';
      case 'array': return `${this.of(items, indent)}[]`;
      case 'object': {
        // Members may be added in later versions, so `additionalProperties: false` is for the tests of the gateway alone.
        if (!properties) return `Record<string, ${additionalProperties ? this.of(additionalProperties, indent) : 'unknown'}>`;
        const inner = `${indent}  `;
        const members = Object.entries(properties).map(([name, member]) =>
          `${comment(member, inner)}${inner}${name}${required.includes(name) ? '' : '?'}: ${this.of(member, inner)};\n`);
        return `{\n${members.join('')}${indent}}`;
      }
      default: throw new Error(`a schema without a type: ${JSON.stringify(schema)}`);
    }
  }
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const text = generate();
  if (!process.argv.includes('--check')) {
    writeFileSync(TARGET, text);
  } else if (text !== readFileSync(TARGET, 'utf8')) {
    console.error('client/src/api.ts is not what docs/openapi.yaml says: npm run generate');
    process.exit(1);
  }
}
