// The tour that `keycard demo` prints, walked as it is printed.
//
// I own: what each printed step means in a browser. I may call: house.mjs for processes and bounds; a window with the
// verbs of house/window.mjs is handed to me. I never walk a step that the terminal does not print, nor leave one out:
// whoever changes the tour changes this list.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort, startDemo } from './house.mjs';

/** What a token looks like from outside. */
export const TOKEN = /eyJ(hbGciOi|0eXAiOi|raWQiOi)/;

const greeting = (window, text) => window.see('#greeting', text);

async function callApi(window) {
  await window.click('#call');
  return { status: await window.see('#status', ' · '), answer: await window.see('#answer') };
}

/** Picks a person at the provider, types the password, agrees. */
async function signInAs({ window, demo }, login) {
  await window.see('form#sign-in');
  await window.click(`input[name=person][value=${login}]`);
  await window.type('input[name=password]', demo.password);
  await window.click('form#sign-in button');
  await window.see('form#consent');
}

async function tokenless(window) {
  const seen = JSON.parse(await window.script(`return JSON.stringify({
    cookie: document.cookie,
    local: { ...localStorage },
    session: { ...sessionStorage },
    databases: (await indexedDB.databases()).map((database) => database.name),
    workers: (await navigator.serviceWorker?.getRegistrations() ?? []).length,
  })`));
  assert.deepEqual(seen, { cookie: '', local: {}, session: {}, databases: [], workers: 0 });
}

/** Every step: what it says, and what a person who follows it does and sees. */
const STEPS = [
  [/^Open (?<home>http:\S+) and sign in as Anna Berg, a teacher\. The password is (?<password>\S+), for everybody\. The provider asks once/,
    async ({ window, demo }, { home, password }) => {
      assert.deepEqual([home, password], [demo.home, demo.password]);
      await window.goto(home);
      await greeting(window, 'Nobody is signed in');
      await window.picture('app-anonymous');
      assert.match((await callApi(window)).status, /^401/);
      await window.click('a#sign-in');
      await window.see('form#sign-in');
      assert.equal(new URL(await window.url()).hostname, '127.0.0.1', 'the provider is another host');
      await window.picture('login');
      await window.click('input[value=anna]');
      await window.type('input[name=password]', 'wrong');
      await window.click('form#sign-in button');
      await window.see('#wrong');
      assert.equal(await window.script('return document.querySelector("input[value=anna]").checked'), true, 'who was picked stays picked');
      await window.picture('login-wrong');
      await signInAs({ window, demo }, 'anna');
      await window.picture('consent');
      await window.click('button[value=allow]');
      await greeting(window, 'Hello, Anna Berg');
      assert.equal(await window.url(), `${home}/`, 'back where it began');
      assert.equal(await window.see('#roles', 'teacher'), 'teacher');
      assert.match(await window.see('#ends'), /\d/);
    }],
  [/^Look for a token\. There is none\. .*`(?<session>\S+)` is the session, opaque and HttpOnly\. `(?<binding>\S+)` only binds/,
    async ({ window }, { session, binding }) => {
      const jar = await window.cookies();
      assert.deepEqual(jar.map(({ name }) => name).sort(), [session, binding], 'no prefix on plain http, and no third');
      for (const { name, httpOnly, sameSite, secure, path, value } of jar) {
        assert.deepEqual({ httpOnly, sameSite, secure, path }, { httpOnly: true, sameSite: 'Lax', secure: false, path: '/' }, name);
        assert.ok(value.length < 128);
        assert.doesNotMatch(value, TOKEN);
      }
      await tokenless(window);
    }],
  [/^Open (?<legacy>http:\S+) .*It gets Remote-User, and neither of the two cookies/,
    async ({ window, demo }, { legacy }) => {
      // Twice: its own cookie comes back, ours never.
      await window.goto(legacy);
      await window.reload();
      assert.equal(await window.see('#legacy-user'), 'anna');
      assert.equal((await window.see('#legacy-cookies')).trim(), 'legacy-visits');
      await window.see('#ours', 'No cookie of the gateway');
      assert.doesNotMatch(await window.see('body'), TOKEN);
      await window.picture('legacy');
      await window.goto(`${demo.home}/`);
      await greeting(window, 'Hello, Anna Berg');
    }],
  [/^Call the API as Anna: 200\. Sign out, at the provider as well, and come back as Ben Cruz, a student: 403\. .*never sees it/,
    async ({ window, demo }) => {
      const asAnna = await callApi(window);
      assert.match(asAnna.status, /^200/);
      const { token, cookies_that_came_along: cookies } = JSON.parse(asAnna.answer);
      assert.deepEqual([token.verified, token.claims.roles, cookies], [true, ['teacher'], false]);
      assert.doesNotMatch(asAnna.answer, TOKEN);
      await window.picture('app-anna');

      await window.click('a#sign-out');
      await window.see('form#end-session');
      await window.picture('end-session');
      await window.click('form#end-session button[value=yes]');
      await window.see('body.signed-out h1');
      assert.equal(new URL(await window.url()).pathname, '/bff/signed-out');
      await window.picture('signed-out');
      await window.goto(`${demo.home}/`);
      await greeting(window, 'Nobody is signed in');
      await window.click('a#sign-in');
      await signInAs({ window, demo }, 'ben');
      await window.click('button[value=allow]');
      await greeting(window, 'Hello, Ben Cruz');
      assert.match((await callApi(window)).status, /^403/);
      await window.picture('app-ben');
    }],
  [/^Start the event stream and watch it tick/,
    async ({ window }) => {
      await window.click('#listen');
      for (const tick of [1, 2]) await window.see('#ticks', `tick ${tick} `);
      await window.picture('app-events');
      await window.click('#listen');
    }],
  [/^Open (?<home>http:\S+) in a second tab, and say something in the chat: .* Sign out in one tab\. The other one knows at once, and its WebSocket is closed with 4401\. Then sign in as Ben again\.$/,
    async ({ window }, { home }) => {
      const second = await window.another(home);
      await window.see('#line', 'connected');
      await window.type('#message', 'good morning');
      await window.click('#send');
      await window.see('#talk', 'Ben Cruz: good morning');
      await window.picture('app-chat');
      await window.click('a#sign-out');
      await window.see('form#end-session');
      await window.click('form#end-session button[value=no]');
      await window.see('body.signed-out h1');
      await second.back();
      await greeting(window, 'Your session has ended');
      await window.see('#line', '4401');
      // He has stayed signed in at the provider.
      await window.click('a#sign-in');
      await greeting(window, 'Hello, Ben Cruz');
    }],
  [/^In a second terminal, end Ben's session\. His page notices\. (?<command>.+)$/,
    async ({ window, demo }, { command }) => {
      // A second window of the same browser is signed in as well, and notices as well.
      const second = await window.another(`${demo.home}/`);
      await greeting(window, 'Hello, Ben Cruz');
      const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], { timeout: 15_000 });
      assert.match(stdout, /\b1 session\b/);
      await greeting(window, 'Your session has ended');
      await second.back();
      await greeting(window, 'Your session has ended');
      assert.equal(await window.script('return (await fetch("/bff/user")).status'), 401);
      await window.picture('app-ended');
    }],
  [/^Sign in once more, open (?<issuer>http:\S+) in another tab and sign out there\. The page of the app notices\. .*back-channel/,
    async ({ window }, { issuer }) => {
      await window.click('a#sign-in');
      await greeting(window, 'Hello, Ben Cruz');
      const provider = await window.another(issuer);
      await window.click('form#end-session button[value=yes]');
      await window.see('body:not(:has(form#end-session)) h1');
      await provider.back();
      await greeting(window, 'Your session has ended');
      await window.picture('app-ended-by-provider');
    }],
  [/^Sign in once more, stop the demo with Ctrl-C, start it again, and reload: still signed in\./,
    async (walk) => {
      const { window } = walk;
      await window.click('a#sign-in');
      await window.see('form#sign-in');
      await window.click('input[name=person][value=ben]');
      await window.type('input[name=password]', walk.demo.password);
      // He has agreed before.
      await window.click('form#sign-in button');
      await greeting(window, 'Hello, Ben Cruz');
      await ctrlC(walk.demo);
      walk.demo = await startDemo(...walk.started);
      await window.reload();
      await greeting(window, 'Hello, Ben Cruz');
      await window.click('#call');
      await window.see('#status', '403');
      await window.picture('app-restarted');
    }],
  [/^Stop with Ctrl-C\.$/,
    async ({ demo }) => {
      await ctrlC(demo);
      await assert.rejects(fetch(demo.home), 'the gateway is gone');
      await assert.rejects(fetch(demo.idp), 'the provider is gone too');
    }],
];

async function ctrlC(demo) {
  demo.kill('SIGINT');
  assert.deepEqual(await demo.ended, { code: 0, signal: null });
  const log = demo.lines.join('\n');
  assert.doesNotMatch(log, TOKEN);
  assert.doesNotMatch(log, /WARN|ERROR|panicked/, log);
}

/** What the terminal says to try, as it would be read or copied: each step in one line, with `\` at line ends undone. */
export function printed(demo) {
  const text = demo.lines.join('\n');
  const [, tour] = /\nWhat to try:\n\n([\s\S]*?)\n\n/.exec(`${text}\n\n`);
  return tour.split(/^ {2}\d+\. /m).slice(1)
    .map((step) => step.replace(/ \\\n */g, ' ').replace(/\s*\n\s*/g, ' ').trim());
}

/** Starts a demo, and follows its tour in `window` from the first step to the last. `data` is where it keeps things. */
export async function follow(window, data) {
  const started = [['--port', String(await freePort())], { XDG_DATA_HOME: data }];
  const walk = { window, started, demo: await startDemo(...started) };
  try {
    const steps = printed(walk.demo);
    assert.equal(steps.length, STEPS.length, `every printed step is followed:\n${steps.join('\n')}`);
    for (const [at, [says, act]] of STEPS.entries()) {
      const read = says.exec(steps[at]);
      assert.ok(read, `step ${at + 1} reads otherwise: ${steps[at]}`);
      await act(walk, read.groups ?? {}).catch((error) => {
        throw new Error(`step ${at + 1}: ${error.message}\n${walk.demo.tail()}`, { cause: error });
      });
    }
  } finally {
    await walk.demo.stop();
  }
}
