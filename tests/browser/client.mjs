// The TypeScript client, as it was built, in a page behind Keycard: real browser, real provider, real Redis.
//
// I own: what a page hears, when, and how many streams that takes. I may call: browser.mjs, house.mjs, spa.mjs, the
// generator of client/. I never look inside the client.
//
// node --test tests/browser/client.mjs     after `cargo build`, `tests/install` and `npm run build` in client/

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { evidence } from './browser.mjs';
import { chromium as launch, close, freePort, gatewayLog, open, openGateway, until } from './house.mjs';
import { serveSpa } from './spa.mjs';

/** The longest that anything may take which is not measured. */
const BOUND = 15_000;
const PAGE = '/spa/index.html?tab=one&word=%C3%A4%26b';

let house;
let browser;
let spa;

before(async () => {
  const port = { spa: await freePort(), admin: await freePort() };
  const token = randomBytes(24).toString('base64url');
  spa = await serveSpa(port.spa);
  const route = (path, more) => `\n[[route]]\npath = "${path}"\nupstream = "http://127.0.0.1:${port.spa}"\n${more}\n`;
  house = await open(
    () => route('/spa/', 'access = "public"') + route('/spa/api/', 'access = "signed-in"\ncsrf = "strict"'),
    () => ({ KEYCARD__SERVER__ADMIN_LISTEN: `127.0.0.1:${port.admin}`, KEYCARD__SERVER__ADMIN_TOKEN: token }),
  );
  house.endSessions = () => fetch(`http://127.0.0.1:${port.admin}/admin/sessions?all=true`, {
    method: 'DELETE', headers: { authorization: `Bearer ${token}` },
  });
  // Playwright turns the cache off that this is about.
  browser = await chromium.launch({ ...launch, ignoreDefaultArgs: ['--disable-back-forward-cache'] });
});

after(async () => {
  await browser?.close();
  await close(house);
  await spa?.close();
});

/** Everything that the pages of one browser have heard, and when. */
class Ears {
  #heard = [];
  #waiting = new Set();

  note(page, event, about) {
    this.#heard.push({ page, event, about, at: performance.now() });
    this.#waiting.forEach((look) => look());
  }

  /** What `page` has heard, by name. */
  of(page) {
    return this.#heard.filter((one) => one.page === page).map(({ event }) => event);
  }

  /** The first `event` that `page` hears from now on, or has heard since `since` of its words. */
  next(page, event, since = this.of(page).length) {
    const find = () => this.#heard.filter((one) => one.page === page).slice(since).find((one) => one.event === event);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not heard: ${event}; only ${this.of(page).slice(since)}`)), BOUND);
      const look = () => {
        const found = find();
        if (!found) return;
        clearTimeout(late);
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** A test with a browser of its own, whose pages report what they hear. */
function scene(name, act, prepare = () => {}) {
  test(name, { timeout: 60_000 }, async () => {
    const context = await browser.newContext();
    context.setDefaultTimeout(BOUND);
    const ears = new Ears();
    await context.exposeBinding('report', ({ page }, event, about) => ears.note(page, event, about));
    await prepare(context);
    const tab = async (path = PAGE) => {
      const page = await context.newPage();
      await page.goto(`${house.origin}${path}`);
      return page;
    };
    /** A tab with somebody in it, who has heard so. */
    const signedIn = async (person = 'alice') => {
      const page = await tab();
      await page.click('#login');
      await enter(page, person);
      await ears.next(page, 'session', 0);
      return page;
    };
    const another = async () => {
      const page = await tab();
      await ears.next(page, 'session', 0);
      return page;
    };
    try {
      await act({ context, ears, tab, signedIn, another });
    } catch (error) {
      const pictures = await evidence(browser, name.split(' ')[0]);
      console.error([`\n${name}:`, ...pictures, house.gateway.tail(), house.idp.tail(15)].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

/** At the provider: signs in, and waits for the page. */
async function enter(page, person) {
  await page.locator('form#sign-in').waitFor();
  await page.fill('input[name=login]', person);
  await page.press('input[name=login]', 'Enter');
  await page.locator('#who', { hasText: person }).waitFor();
}

const here = (page) => page.url().slice(house.origin.length);

/** How many event streams the gateway has opened. */
const streams = () => gatewayLog(house).map((line) => { try { return JSON.parse(line); } catch { return {}; } })
  .filter(({ route, status }) => route === 'events' && status === 200).length;
const askedProvider = () => house.idp.lines.filter((line) => line.startsWith('GET /auth ')).length;

/** Every tab that is given hears of the end within a second of `act`. */
async function endsWithin1s(ears, tabs, reason, act) {
  const ends = tabs.map((page) => ears.next(page, 'ended'));
  await act();
  const from = performance.now();
  for (const end of await Promise.all(ends)) {
    assert.deepEqual(end.about, { reason });
    assert.ok(end.at - from < 1_000, `it took ${Math.round(end.at - from)} ms`);
  }
}

test('the types are those of docs/openapi.yaml', async () => {
  const { generate } = await import('../../client/scripts/generate.mjs');
  const written = readFileSync(new URL('../../client/src/api.ts', import.meta.url), 'utf8');
  assert.equal(written, generate(), 'client/src/api.ts: npm run generate');
  const api = readFileSync(new URL('../../docs/openapi.yaml', import.meta.url), 'utf8');
  assert.notEqual(generate(api.replace('idle_until: {', 'quiet_until: {')), written, 'another member makes another file');
  assert.throws(() => generate(api.replaceAll('minLength', 'pattern')), /nobody taught the generator 'pattern'/);
});

scene('r59 user() is null, then a person, and login() leads back to the same page and query', async ({ tab, context }) => {
  const page = await tab();
  await page.locator('#who', { hasText: 'nobody' }).waitFor();
  assert.equal(await page.evaluate(() => keycard.user()), null);
  await page.click('#login');
  await enter(page, 'alice');
  assert.equal(here(page), PAGE);
  const { user, session, logout_url } = await page.evaluate(() => keycard.user({ slide: false }));
  assert.deepEqual([user.id, user.name, session.provider], ['alice', 'Alice Archer', 'corp']);
  assert.match(logout_url, /^\/bff\/logout\?sid=/);
  const kept = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]));
  assert.equal(kept, '["",{},{}]', 'the client keeps nothing of a person');
  assert.equal((await context.cookies()).filter(({ domain }) => domain === 'localhost').length, 2);
});

scene('r57 two tabs have one stream, and signing out in one reaches the other within a second', async ({ ears, signedIn, another }) => {
  const before = streams();
  const one = await signedIn();
  const two = await another();
  const gone = two.waitForResponse((response) => response.request().method() === 'POST');
  await endsWithin1s(ears, [one], 'by-user', async () => {
    await two.click('#logout');
    await gone;
  });
  await one.locator('#who', { hasText: 'nobody' }).waitFor();
  await two.locator('h1', { hasText: 'Sign out at the provider' }).waitFor();
  assert.equal(streams() - before, 1, 'one stream for both');
  assert.ok(!ears.of(two).includes('ended'), 'the tab that leaves is not disturbed');
});

scene('r58 an operator ends the session, and both tabs hear it', async ({ ears, signedIn, another }) => {
  const tabs = [await signedIn(), await another()];
  await endsWithin1s(ears, tabs, 'by-operator', house.endSessions);
});

scene('the tab that listens is closed, and another takes over', async ({ ears, signedIn, another }) => {
  const one = await signedIn();
  const two = await another();
  const three = await another();
  const before = streams();
  const since = [two, three].map((page) => ears.of(page).length);
  await one.close();
  await until('another stream is open', () => streams() > before);
  // That the gateway has a stream open is not yet that the pages have heard it speak.
  await Promise.all([two, three].map((page, n) => ears.next(page, 'session', since[n])));
  await endsWithin1s(ears, [two, three], 'by-operator', house.endSessions);
  assert.equal(streams() - before, 1, 'one of the two others has opened its own');
});

scene('a browser without locks and channels gets the same, with a stream for each tab', async ({ ears, signedIn, another }) => {
  const before = streams();
  const tabs = [await signedIn(), await another()];
  assert.equal(streams() - before, 2);
  await endsWithin1s(ears, tabs, 'by-operator', house.endSessions);
}, (context) => context.addInitScript(() => { delete Navigator.prototype.locks; delete globalThis.BroadcastChannel; }));

scene('a new sign-in of the same person ends nothing; one of another person is told as such', async ({ context, ears, signedIn, another }) => {
  const one = await signedIn('alice');
  const two = await another();
  const anew = async (person) => {
    await two.evaluate(() => keycard.login({ prompt: 'login', returnTo: '/spa/?again' }));
    await enter(two, person);
    assert.equal(here(two), '/spa/?again');
  };
  const since = ears.of(one).length;
  await anew('alice');
  // The old session ends meanwhile; the first tab, which listens to it, finds the new one in its place.
  await ears.next(one, 'session', since);
  assert.deepEqual([...new Set(ears.of(one))], ['session'], 'nor is the end of the old one announced');
  // The provider has forgotten alice, so that it is the gateway that ends her session, for bob's sake.
  await context.clearCookies({ domain: '127.0.0.1' });
  let changed = ears.next(one, 'changed');
  await anew('bob');
  assert.equal((await changed).about.user.id, 'bob');
  assert.ok(!ears.of(one).includes('ended'));
  await one.locator('#who', { hasText: 'bob' }).waitFor();
  // And now the provider ends his first, and says so, before it lets her in.
  changed = ears.next(one, 'changed');
  await anew('alice');
  assert.equal((await changed).about.user.id, 'alice');
});

scene('whoever is signed out everywhere and signs in in one tab is signed in in all', async ({ ears, signedIn, another }) => {
  const tabs = [await signedIn(), await another()];
  const ends = tabs.map((page) => ears.next(page, 'ended'));
  await house.endSessions();
  await Promise.all(ends);
  const session = ears.next(tabs[0], 'session');
  await tabs[1].click('#login');
  await tabs[1].locator('#who', { hasText: 'alice' }).waitFor();
  assert.equal((await session).about.user.id, 'alice');
});

scene('sessions() says where one is signed in, and endSession() ends one elsewhere and one here', async ({ ears, signedIn, tab, context }) => {
  await house.endSessions();
  const page = await signedIn();
  const list = () => page.evaluate(() => keycard.sessions({ slide: false }));
  const elsewhere = await browser.newContext();
  try {
    const there = await elsewhere.newPage();
    await there.goto(`${house.origin}/bff/sessions`);
    await there.locator('form#sign-in').waitFor();
    await there.fill('input[name=login]', 'alice');
    await there.press('input[name=login]', 'Enter');
    await there.locator('h1', { hasText: 'Where you are signed in' }).waitFor();
    const { sessions, more } = await list();
    assert.deepEqual([sessions.length, sessions[0].current, sessions[1].current, more], [2, true, false, false]);
    assert.match(sessions[1].user_agent, /Chrome/);
    assert.deepEqual(await page.evaluate((handle) => keycard.endSession(handle), sessions[1].handle), { handle: sessions[1].handle, current: false });
    assert.equal((await list()).sessions.length, 1);
    // The page itself may fetch nothing.
    assert.equal((await elsewhere.request.get(`${house.origin}/bff/user`)).status(), 401);
    const refused = await page.evaluate((handle) => keycard.endSession(handle).catch((error) => [error.name, error.status, error.problem.type]), sessions[1].handle);
    assert.deepEqual(refused, ['KeycardError', 404, 'urn:keycard:problem:no-such-session']);
    const end = ears.next(page, 'ended');
    assert.equal((await page.evaluate((handle) => keycard.endSession(handle), sessions[0].handle)).current, true);
    assert.deepEqual((await end).about, { reason: 'by-user' });
    assert.equal(await list(), null);
    assert.equal(await page.evaluate(() => keycard.endSession('x')), null);
    assert.equal((await context.cookies()).filter(({ name }) => name === 'keycard').length, 0);
  } finally {
    await elsewhere.close();
  }
});

scene('r67 fetch sends to the sign-in once, keeps the answer, and comes back to the same page and query', async ({ ears, signedIn, context }) => {
  const page = await signedIn();
  const call = (times = 1) => page.evaluate((count) => Promise.all(Array.from({ length: count }, async () => {
    const answer = await keycard.fetch('api/echo', { method: 'POST', body: 'x' });
    return [answer.status, await answer.json()];
  })), times);
  assert.deepEqual(await call(), [[200, { csrf: '1' }]], 'the header that csrf = "strict" asks for');
  assert.equal(await page.evaluate(async () => (await fetch('api/echo')).status), 403, 'and without it');

  // Three at once, and a page that is still there while they are answered: the way to the sign-in is held up.
  await house.endSessions();
  const asked = askedProvider();
  let letGo;
  const held = new Promise((resolve) => { letGo = resolve; });
  let logins = 0;
  await page.route('**/bff/login?**', async (route) => {
    logins += 1;
    await held;
    await route.continue();
  });
  const answers = await call(3);
  for (const [status, problem] of answers) {
    assert.deepEqual([status, problem.type, problem.login_url], [401, 'urn:keycard:problem:sign-in-required', '/bff/login']);
  }
  const back = ears.next(page, 'session');
  letGo();
  await back;
  assert.equal(here(page), PAGE);
  assert.deepEqual([logins, askedProvider() - asked], [1, 1]);

  // Once more right after that: something is wrong, and going in circles mends nothing.
  await context.clearCookies({ name: /keycard/ });
  assert.equal((await call())[0][0], 401);
  assert.equal((await call())[0][0], 401);
  assert.equal(here(page), PAGE);
  assert.equal(logins, 1);
});

scene('onSignInRequired is called once, and again after another sign-in', async ({ ears, tab }) => {
  const page = await tab('/spa/?ask');
  const call = () => page.evaluate(async () => (await keycard.fetch('/spa/api/echo')).status);
  const count = () => ears.of(page).filter((event) => event === 'asked').length;
  assert.deepEqual([await call(), await call(), count()], [401, 401, 1]);
  assert.equal(here(page), '/spa/?ask');
  const session = ears.next(page, 'session');
  const other = await tab();
  await other.click('#login');
  await enter(other, 'alice');
  await session;
  assert.equal(await call(), 200);
  const end = ears.next(page, 'ended');
  await house.endSessions();
  await end;
  assert.deepEqual([await call(), count()], [401, 2]);
});

scene('r12 an answer of an app leads nowhere: not its own 401, nor a forged one', async ({ ears, tab }) => {
  const page = await tab();
  for (const path of ['own-401', 'forged-script', 'forged-elsewhere']) {
    await page.reload();
    await page.locator('#who', { hasText: 'nobody' }).waitFor();
    await page.evaluate(() => sessionStorage.clear());
    assert.equal(await page.evaluate(async (name) => (await keycard.fetch(`/spa/${name}`)).status, path), 401);
    assert.equal(await page.evaluate(async () => (await fetch('/spa/api/echo')).status), 401, 'still there');
    assert.equal(here(page), PAGE);
  }
  assert.ok(!ears.of(page).includes('forged'));
});

scene('r82 an error is never "nobody", neither to the page nor to its tabs', async ({ ears, signedIn, context }) => {
  const page = await signedIn();
  const fail = (what, status) => context.route(what, (route) => status ? route.fulfill({
    status, contentType: 'application/problem+json',
    body: JSON.stringify({ type: 'urn:keycard:problem:store-unavailable', title: 'Not now', status, detail: 'x', correlation_id: 'abcdefgh' }),
  }) : route.abort());
  const said = (call) => page.evaluate(`keycard.${call}.then(() => 'an answer', (e) => [e.name, e.status ?? 0, e.problem?.title ?? ''])`);
  await fail('**/bff/user*', 503);
  assert.deepEqual(await said('user()'), ['KeycardError', 503, 'Not now']);
  const looked = page.waitForResponse(/slide=false/);
  await page.evaluate(() => dispatchEvent(new Event('online')));
  assert.equal((await looked).status(), 503);
  await context.unroute('**/bff/user*');
  await fail('**/bff/user*');
  assert.deepEqual(await said('user()'), ['TypeError', 0, '']);
  await fail('**/spa/api/*');
  assert.deepEqual(await said("fetch('/spa/api/echo')"), ['TypeError', 0, '']);
  await fail('**/bff/logout', 503);
  assert.deepEqual(await said('logout()'), ['KeycardError', 503, 'Not now']);
  assert.equal(here(page), PAGE);
  assert.ok(!ears.of(page).includes('ended'), 'and nobody was told of an end');
  // After a sign-out that failed the page listens as before.
  await context.unroute('**/bff/user*');
  await endsWithin1s(ears, [page], 'by-operator', house.endSessions);
});

scene('the gateway goes away and comes back: nobody is signed out by that, and the end is still told', async ({ ears, signedIn, another }) => {
  const tabs = [await signedIn(), await another()];
  const since = tabs.map((page) => ears.of(page).length);
  const before = streams();
  await house.gateway.stop();
  await openGateway(house);
  await Promise.all(tabs.map((page, n) => ears.next(page, 'session', since[n])));
  await until('the stream is open again', () => streams() > before);
  assert.ok(tabs.every((page) => !ears.of(page).includes('ended')));
  await endsWithin1s(ears, tabs, 'by-operator', house.endSessions);
});

scene('a page that the browser has put aside leaves the stream to another, and looks again when it is shown', async ({ ears, signedIn, another }) => {
  const page = await signedIn();
  const two = await another();
  await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => report('shown', persisted)));
  const before = streams();
  const since = ears.of(two).length;
  await page.goto(`${house.origin}/spa/nothing.html`);
  await until('the other tab listens', () => streams() > before);
  // That the gateway has a stream open is not yet that the page has read it.
  await ears.next(two, 'session', since);
  await endsWithin1s(ears, [two], 'by-operator', house.endSessions);
  const end = ears.next(page, 'ended');
  await page.goBack({ waitUntil: 'commit' });
  await end;
  const shown = await ears.next(page, 'shown', 0);
  assert.equal(shown.about, true, 'it was the page as it had been, not a new one');
  // And it is one of the tabs again.
  const session = ears.next(page, 'session');
  await two.click('#login');
  await session;
});

scene('a session that is about to end is told as such', async ({ ears, tab }) => {
  // Shorter than the warning: it is about to end from its beginning.
  house.variables.KEYCARD__SESSION__IDLE_TIMEOUT = '100s';
  try {
    await house.gateway.stop();
    await openGateway(house);
    const page = await tab();
    await page.click('#login');
    await enter(page, 'alice');
    const { about: { session } } = await ears.next(page, 'expiring', 0);
    const left = Date.parse(session.idle_until) - Date.now();
    assert.ok(left > 0 && left <= 106_000, `${left} ms`);
  } finally {
    delete house.variables.KEYCARD__SESSION__IDLE_TIMEOUT;
    await house.gateway.stop();
    await openGateway(house);
  }
});
