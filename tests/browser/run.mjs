// Keycard between a real browser, a real provider, a real app and a real Redis.
//
// I own: what a person and an attacker see. I may call: browser.mjs, house.mjs, redis.mjs. I never look inside the
// gateway: all that is judged here left it. Tests are named after the rows of the conformance list that they defend.
//
// node --test tests/browser/run.mjs     after `cargo build`, `npm ci` in this folder, and with redis-server, php and
//                                       chromium on the machine; `tests/install` sees to all but the first.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import {
  cookies, evidence, fetchFrom, finishSignIn, portrait, pressByKeyboard, readableByScript, shown, signIn, step,
} from './browser.mjs';
import {
  arrivals, chromium as launch, close, foreignPage, gatewayLog, open, openGateway, until,
} from './house.mjs';
import { ATTACKS, attempt } from './hostile.mjs';
import { everything } from './redis.mjs';

/** The name of a session's record in the store, as against marks, indexes and times beside it. */
// Not the heartbeats of the feed (`s:beat:…`), which come and go.
const RECORD = /^keycard:(session|record|s):(?!beat:)/;

let house;
let browser;
/** How a JSON Web Token begins: `{"alg":`, `{"typ":` or `{"kid":`. Shorter, and chance would find it in noise. */
const TOKEN = /eyJ(hbGciOi|0eXAiOi|raWQiOi)/;
const secrets = new Set();

before(async () => {
  house = await open();
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await close(house);
});

/** A test with browsers of its own: each `visitor()` has an empty jar. */
function scene(name, act) {
  test(name, { timeout: 120_000 }, async () => {
    const visitors = [];
    const visitor = async () => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      context.setDefaultTimeout(15_000);
      visitors.push(context);
      return context;
    };
    try {
      await act({ visitor, at: (path) => `${house.origin}${path}` });
    } catch (error) {
      const pictures = await evidence(browser, name.split(' ')[0]);
      console.error([`\n${name}:`, ...pictures, house.gateway.tail(), house.idp.tail(15)].join('\n'));
      throw error;
    } finally {
      for (const context of visitors) {
        (await cookies(context, house)).forEach((cookie) => secrets.add(cookie.value));
        await context.close();
      }
    }
  });
}

const askedProvider = () => house.idp.lines.filter((line) => line.startsWith('GET /auth ')).length;
const records = async () => (await everything(house.port.redis)).filter(({ name }) => RECORD.test(name));

async function signedIn(visitor, person, path = '/') {
  const context = await visitor();
  const page = await context.newPage();
  await signIn(page, `${house.origin}${path}`, person);
  return { context, page };
}

/** The cookie that came with the session: the other one was there before. */
async function sessionCookie(visitor, person) {
  const context = await visitor();
  const page = await context.newPage();
  await page.goto(house.origin);
  await page.locator('form#sign-in').waitFor();
  await step(page, '1-at-the-provider');
  const early = (await cookies(context, house)).map(({ name }) => name);
  await signIn(page, house.origin, person);
  await step(page, '2-the-app-knows-who');
  const all = await cookies(context, house);
  return { context, page, all, early, cookie: all.find(({ name }) => !early.includes(name)) };
}

/** What a page of our own would send, with a cookie of the test's choosing. */
const replay = (path, cookie) => fetch(`${house.origin}${path}`, {
  redirect: 'manual',
  headers: { cookie: `${cookie.name}=${cookie.value}`, accept: 'application/json', 'sec-fetch-site': 'same-origin' },
});

scene('r43_r51_r53 signing in leaves two small opaque HttpOnly cookies and shows the person to the app', async ({ visitor }) => {
  arrivals(house);
  const { page, all, early, cookie } = await sessionCookie(visitor, 'alice');
  assert.deepEqual(await shown(page), { user: 'alice', target: '/' });
  assert.equal(early.length, 1, `before the sign-in one cookie binds the browser, found: ${early}`);
  assert.equal(all.length, 2, `one session cookie and one binding cookie, found: ${all.map(({ name }) => name)}`);
  for (const { name, value, httpOnly, sameSite, domain, secure } of all) {
    assert.equal(httpOnly, true, `${name} is HttpOnly`);
    assert.equal(sameSite, 'Lax', `${name} is SameSite=Lax`);
    assert.equal(domain, 'localhost', `${name} has no Domain`);
    assert.equal(secure, false, `${name} on plain http`);
    assert.ok(name.length + 1 + value.length < 128, `${name} has ${name.length + 1 + value.length} bytes`);
    const plain = value + Buffer.from(decodeURIComponent(value), 'base64').toString('latin1');
    assert.doesNotMatch(plain, TOKEN, `${name} is no token`);
    assert.doesNotMatch(plain, /alice|Archer|"sub"|\.[\w-]{20,}\./i, `${name} is opaque`);
  }
  assert.equal(cookie.path, '/');
  const readable = await readableByScript(page);
  assert.deepEqual(JSON.parse(readable), { cookie: '', local: {}, session: {}, databases: [], workers: 0 });
  assert.doesNotMatch(await page.content(), TOKEN, 'no token in the page');
  // The provider's cookies belong to another host; what the app got of cookies is what it set itself: none.
  const landed = arrivals(house).find(({ target }) => target === '/');
  assert.equal(landed.headers['Remote-User'], 'alice');
  assert.equal(landed.headers.Cookie, undefined, 'our cookies stop at the gateway');
  assert.equal(landed.headers.Authorization, undefined);
});

scene('r44 the store holds one sealed record for one sign-in and nothing readable', async ({ visitor }) => {
  const earlier = new Set((await records()).map(({ name }) => name));
  const { all } = await sessionCookie(visitor, 'alice');
  const dump = await everything(house.port.redis);
  const fresh = dump.filter(({ name }) => RECORD.test(name) && !earlier.has(name));
  assert.equal(fresh.length, 1, `one record, found among: ${dump.map(({ name, type }) => `${name} (${type})`).join(', ')}`);
  const readable = ['alice', 'Archer', 'people.test', 'editor', 'access_token', 'refresh_token', house.clientSecret,
    house.sealingKey, ...all.map(({ value }) => value), ...all.map(({ value }) => decodeURIComponent(value))];
  for (const { name, raw } of dump) {
    const text = raw.toString('latin1').toLowerCase();
    assert.doesNotMatch(raw.toString('latin1'), TOKEN, `${name} holds a token`);
    for (const word of readable) assert.ok(!text.includes(word.toLowerCase()), `${name} holds ${JSON.stringify(word)} in the clear`);
  }
});

for (const [row, tabs] of [['r6_two_tabs', ['/a?x=1', '/b?y=2&z=%C3%A4']], ['r6_ten_tabs', Array.from({ length: 10 }, (_, n) => `/tab/${n}?n=${n}`)]]) {
  scene(`${row} opened at once from an empty jar each end on their own page`, async ({ visitor, at }) => {
    const context = await visitor();
    const pages = await Promise.all(tabs.map(() => context.newPage()));
    await Promise.all(pages.map((page, n) => page.goto(at(tabs[n]))));
    await Promise.all(pages.map((page) => finishSignIn(page, 'alice')));
    for (const [n, page] of pages.entries()) {
      assert.deepEqual(await shown(page), { user: 'alice', target: tabs[n] });
      assert.equal(page.url(), at(tabs[n]));
    }
    assert.equal((await cookies(context, house)).length, 2, 'nothing piles up in the jar');
  });
}

scene('r59 the user endpoint tells the page who is signed in, and nothing else', async ({ visitor }) => {
  const { page, all } = await sessionCookie(visitor, 'alice');
  const answer = await fetchFrom(page, '/bff/user');
  assert.deepEqual([answer.status, answer.type, answer.redirected], [200, 'application/json', false]);
  const body = JSON.parse(answer.text);
  assert.deepEqual(Object.keys(body).sort(), ['logout_url', 'session', 'user']);
  assert.deepEqual(Object.keys(body.user).sort(), ['claims', 'email', 'id', 'name', 'roles']);
  assert.deepEqual([body.user.id, body.user.name, body.user.email], ['alice', 'Alice Archer', 'alice@people.test']);
  assert.ok(Array.isArray(body.user.roles));
  assert.deepEqual(Object.keys(body.session).sort(), ['acr', 'ends', 'idle_until', 'provider', 'started']);
  assert.equal(body.session.provider, 'corp');
  const times = ['started', 'idle_until', 'ends'].map((name) => body.session[name]);
  times.forEach((time) => assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/, 'RFC 3339'));
  assert.deepEqual([...times].sort((a, b) => Date.parse(a) - Date.parse(b)), times, 'started, idle, end, in that order');
  assert.match(new URL(body.logout_url, house.origin).href, new RegExp(`^${house.origin}/bff/logout\\?sid=[\\w-]{22}$`));
  assert.doesNotMatch(answer.text, TOKEN);
  all.forEach(({ value }) => assert.ok(!answer.text.includes(value), 'no cookie in the body'));
});

scene('r67 a script without a session gets a 401 problem and is never sent to a login', async ({ visitor, at }) => {
  const { context, page } = await signedIn(visitor, 'alice');
  await context.clearCookies();
  const asked = askedProvider();
  for (const [path, init] of [['/bff/user', {}], ['/api/things', {}], ['/api/things', { method: 'POST', body: 'x' }]]) {
    const answer = await fetchFrom(page, path, init);
    assert.deepEqual([answer.status, answer.type, answer.redirected], [401, 'application/problem+json', false], path);
    const problem = JSON.parse(answer.text);
    assert.equal(problem.status, 401);
    for (const member of ['type', 'title', 'login_url', 'correlation_id']) assert.equal(typeof problem[member], 'string', member);
    assert.equal(new URL(problem.login_url, house.origin).pathname, '/bff/login');
  }
  assert.equal(askedProvider(), asked);
  assert.equal((await fetch(at('/bff/user'), { redirect: 'manual' })).status, 401);
});

scene('r56 signing out by keyboard ends the session here and at the provider', async ({ visitor, at }) => {
  const earlier = new Set((await records()).map(({ name }) => name));
  const { context, page, cookie } = await sessionCookie(visitor, 'alice');
  assert.equal((await replay('/bff/user', cookie)).status, 200, 'the cookie is the session');
  const own = (await records()).map(({ name }) => name).filter((name) => !earlier.has(name));
  assert.equal(own.length, 1, 'one record for one session');

  await page.goto(at('/bff/logout'));
  assert.deepEqual(await portrait(page, 'logout'), { overflow: false });
  const focused = await pressByKeyboard(page, /sign out/i);
  assert.notEqual(focused.ring, 'none', 'the focus is visible');
  // The session is over before the provider is asked (R56): whatever happens there, this card opens nothing.
  await page.locator('h1', { hasText: 'Sign out at the provider' }).waitFor();
  await step(page, '3-signing-out-at-the-provider');
  assert.equal((await replay('/bff/user', cookie)).status, 401, 'over while the provider still asks');
  await pressByKeyboard(page, /yes, sign me out/i);
  assert.equal(new URL(page.url()).pathname, '/bff/signed-out');
  await step(page, '4-signed-out');
  assert.equal(new URL(page.url()).origin, house.origin);
  assert.deepEqual(await portrait(page, 'signed-out'), { overflow: false });

  assert.ok(!(await cookies(context, house)).some(({ name }) => name === cookie.name), 'the cookie is expired');
  for (const path of ['/bff/user', '/']) {
    const old = await replay(path, cookie);
    assert.equal(old.status, 401, `an old card at ${path}`);
  }
  assert.ok(!(await records()).some(({ name }) => own.includes(name)), 'the record is gone');
  await page.goBack();
  assert.equal(await page.locator('#remote-user').count(), 0, 'the back button shows nothing');
  assert.equal(await signIn(page, at('/again'), 'bob'), 1, 'the provider asks again');
  await step(page, '5-another-person');
  assert.deepEqual(await shown(page), { user: 'bob', target: '/again' });
});

scene('r84_r85 who signs out at the provider itself is out here within a second', async ({ visitor, at }) => {
  const { context, page, cookie } = await sessionCookie(visitor, 'alice');
  const elsewhere = await sessionCookie(visitor, 'alice');
  await page.goto(`${house.issuer}/session/end`);
  await page.locator('h1', { hasText: 'Sign out at the provider' }).waitFor();
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  await page.locator('h1', { hasText: 'Signed out at the provider' }).waitFor();
  await until('the gateway has heard', async () => (await replay('/bff/user', cookie)).status === 401, 1000);
  assert.equal((await replay('/', cookie)).status, 401);
  assert.equal((await replay('/bff/user', elsewhere.cookie)).status, 200, 'the other browser has a session of its own there');
  assert.ok((await cookies(context, house)).some(({ name }) => name === cookie.name), 'the card is still there, and opens nothing');
  assert.ok(gatewayLog(house).some((line) => line.includes('"by-provider"')), 'the audit log says why');
  assert.equal(await signIn(page, at('/again'), 'bob'), 1, 'the provider asks again');
});

scene('a25 nobody else can sign a person out', async ({ visitor, at }) => {
  const { context, page } = await signedIn(visitor, 'alice');
  for (const host of ['127.0.0.1', 'localhost']) {
    const elsewhere = await foreignPage(host);
    try {
      for (const [attack, path] of [['image', '/bff/logout'], ['image', `/bff/logout?sid=${'A'.repeat(22)}`],
        ['form urlencoded', '/bff/logout'], ['fetch no-cors', '/bff/logout']]) {
        await attempt(context, elsewhere.url, attack, at(path));
      }
    } finally {
      await elsewhere.close();
    }
    await page.goto(at('/still-here'));
    assert.deepEqual(await shown(page), { user: 'alice', target: '/still-here' }, `after ${host}`);
  }
});

for (const [where, host] of [['another site', '127.0.0.1'], ['a sibling origin', 'localhost']]) {
  scene(`a23 nothing that a page of ${where} sends reaches the app`, async ({ visitor, at }) => {
    const { context, page } = await signedIn(visitor, 'alice');
    const elsewhere = await foreignPage(host);
    try {
      arrivals(house);
      const attempts = [...Object.keys(ATTACKS).map((name) => [name, '']),
        ['form urlencoded', 'sandboxed'], ['fetch no-cors', 'sandboxed']];
      for (const [name, from] of attempts) {
        const url = at(`/transfer/${from}${name.replaceAll(' ', '-')}`);
        const status = await attempt(context, elsewhere.url + from, name, url);
        // From another site, and a sandbox is one, the cookie stays at home (SameSite=Lax): 401. From a sibling it comes
        // along: 403. A frame without a session is a navigation, and may be sent to the login.
        const withCookie = host === 'localhost' && !from;
        const expected = withCookie ? [0, 403] : [0, 401, 403, ...(name === 'frame' ? [302] : [])];
        assert.ok(expected.includes(status), `${name} ${from} got ${status}`);
      }
      const reached = arrivals(house).filter(({ target }) => target.startsWith('/transfer/'));
      assert.deepEqual(reached.map(({ method, target }) => `${method} ${target}`), []);

      // What is not an attack: a link.
      const hostile = await context.newPage();
      await hostile.goto(elsewhere.url);
      await hostile.evaluate((url) => { location.href = url; }, at('/linked'));
      await hostile.locator('main#app').waitFor();
      assert.deepEqual(await shown(hostile), { user: 'alice', target: '/linked' });
      await page.goto(at('/unharmed'));
      assert.deepEqual(await shown(page), { user: 'alice', target: '/unharmed' });
      // And that a page of our own may act shows that the refusals above were about where they came from.
      assert.equal((await fetchFrom(page, '/transfer/own', { method: 'POST', body: 'x' })).status, 200);
      assert.equal(arrivals(house).filter(({ target }) => target === '/transfer/own').length, 1);
    } finally {
      await elsewhere.close();
    }
  });
}

scene("a21 a sibling's cookie never puts a person into somebody else's session", async ({ visitor, at }) => {
  const attacker = await sessionCookie(visitor, 'bob');
  const { context, page } = await signedIn(visitor, 'alice');
  const elsewhere = await foreignPage('localhost');
  try {
    await page.goto(elsewhere.url);
    // Cookies do not know ports: on plain http a neighbour can add one for a deeper path, and it is sent first.
    await page.evaluate((text) => { document.cookie = text; }, `${attacker.cookie.name}=${attacker.cookie.value}; path=/tossed`);
    assert.equal((await context.cookies(at('/tossed/'))).filter(({ name }) => name === attacker.cookie.name).length, 2);
    arrivals(house);
    const answer = await page.goto(at('/tossed/page'));
    assert.equal(answer.status(), 400);
    assert.deepEqual(arrivals(house).filter(({ target }) => target === '/tossed/page'), []);
  } finally {
    await elsewhere.close();
  }
});

scene('sessions outlive a restart of the gateway', async ({ visitor, at }) => {
  const { page } = await signedIn(visitor, 'alice');
  const ended = await house.gateway.stop();
  assert.deepEqual(ended, { code: 0, signal: null }, 'SIGTERM is a peaceful end');
  await openGateway(house);
  const asked = askedProvider();
  await page.goto(at('/after?restart'));
  assert.deepEqual(await shown(page), { user: 'alice', target: '/after?restart' });
  assert.equal(askedProvider(), asked, 'nobody was sent to the provider');
});

scene('two people in two browsers stay two people', async ({ visitor, at }) => {
  const alice = await signedIn(visitor, 'alice', '/one');
  const bob = await signedIn(visitor, 'bob', '/two');
  assert.deepEqual(await shown(bob.page), { user: 'bob', target: '/two' });
  await alice.page.goto(at('/three'));
  assert.deepEqual(await shown(alice.page), { user: 'alice', target: '/three' });
  arrivals(house);
  assert.equal((await fetchFrom(bob.page, '/four', { headers: { 'remote-user': 'alice' } })).status, 200);
  const [{ headers }] = arrivals(house).filter(({ target }) => target === '/four');
  assert.equal(headers['Remote-User'], 'bob', 'a claimed identity is removed (A20)');
});

scene('r10 a failed sign-in is a page that says so, on any screen', async ({ visitor, at }) => {
  const page = await (await visitor()).newPage();
  const answer = await page.goto(at('/bff/callback?state=made-up&code=made-up&error_description=%3Cb%3Ehello'));
  assert.equal(answer.status(), 400);
  assert.doesNotMatch(await page.content(), /hello|made-up/, 'nothing of the request is repeated');
  assert.ok(await page.locator('h1').count(), 'a page with a heading');
  assert.deepEqual(await portrait(page, 'error'), { overflow: false });
});

test('r60_a37 the log names no token, no cookie and no person', () => {
  const log = gatewayLog(house).join('\n');
  assert.ok(gatewayLog(house).length > 20, 'there is a log to look at');
  assert.ok(secrets.size > 10, 'there were cookies to look for');
  assert.doesNotMatch(log, TOKEN);
  for (const word of [...secrets, house.clientSecret, house.sealingKey, 'alice', 'people.test', 'Archer']) {
    assert.ok(!log.includes(word), `the log holds ${word}`);
  }
});
