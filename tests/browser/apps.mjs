// Apps that nobody here wrote, unchanged, behind Keycard: DokuWiki, Radicale, and a chat made of socket.io.
//
// I own: what two people do with them in a browser. I may call: house.mjs, house/den.mjs for the apps, browser.mjs for
// pictures. I never look inside the gateway or an app: all that is judged here, a page shows or a process printed.
//
// node --test tests/browser/apps.mjs     after `cargo build`; `tests/install` sees to what else is needed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { cookies, evidence, fetchFrom, step } from './browser.mjs';
import { chromium as launch, close, gatewayLog, open, until } from './house.mjs';
import { makeDen, openApps, routes } from './house/den.mjs';

let house;
let den;
let browser;

before(async () => {
  den = await makeDen();
  house = await open(() => routes(den));
  await openApps(house, den);
  browser = await chromium.launch(launch);
});

after(async () => {
  await browser?.close();
  await close(house);
});

/** A test in one browser profile. */
function scene(name, act) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    context.setDefaultTimeout(15_000);
    try {
      await act(context, (path) => `${house.origin}${path}`);
    } catch (error) {
      const pictures = await evidence(browser, `apps-${name.split(':')[0]}`);
      console.error([`\n${name}:`, ...pictures, house.gateway.tail(), ...house.apps.map((app) => app.tail(8))].join('\n'));
      throw error;
    } finally {
      await context.close();
    }
  });
}

/** Opens a page of an app as `person`: the provider asks, since nobody is signed in there. */
async function enter(page, url, person) {
  await page.goto(url);
  await page.fill('form#sign-in input[name=login]', person);
  await Promise.all([page.waitForURL(url), page.press('input[name=login]', 'Enter')]);
}

/** The way out once our session is over: the provider's question, and the page that says so. */
async function leave(page) {
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  await page.waitForURL('**/bff/signed-out*');
}

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const WIKI = '/dokuwiki/doku.php';

const wikiName = (page) => page.locator('#dokuwiki__header .user bdi').last().textContent();
/** What the wiki keeps in this jar: `DokuWiki`, `DW…`, and `DOKU_PREFS`, which is nobody's secret. */
const appCookies = async (context) => (await context.cookies(`${house.origin}/dokuwiki/`))
  .filter(({ name }) => name.startsWith('D') && name !== 'DOKU_PREFS');

/** Writes a page with the wiki's own editor. */
async function write(page, id, text) {
  await page.goto(`${house.origin}${WIKI}?id=${id}&do=edit`);
  const before = await page.inputValue('#wiki__text');
  await page.fill('#wiki__text', `${before}\n\n${text}`);
  await Promise.all([page.waitForURL((url) => !url.search.includes('do=edit')), page.click('#edbtn__save')]);
  await page.locator('#dokuwiki__content', { hasText: text }).waitFor();
}

/** Who the history of a page says has written it, the latest first. */
async function history(page, id) {
  await page.goto(`${house.origin}${WIKI}?id=${id}&do=revisions`);
  return page.locator('#page__revisions li .user bdi').allTextContents();
}

/** The same of a file. */
async function fileHistory(page, file) {
  await page.goto(`${house.origin}${WIKI}?id=start&do=media&image=${file}&tab_details=history`);
  return page.locator('#page__revisions li .user bdi').allTextContents();
}

/** The uploader of the media manager: a script that sends the bare file. */
async function uploadByScript(page, file) {
  await page.goto(`${house.origin}${WIKI}?id=start&do=media&tab_files=upload`);
  await page.setInputFiles('#mediamanager__uploader input[type=file]', { name: file, mimeType: 'image/png', buffer: PNG });
  const answer = page.waitForResponse((response) => response.url().includes('/lib/exe/ajax.php'));
  await page.click('#mediamanager__upload_button');
  assert.equal((await answer).status(), 200);
  await page.locator('.qq-upload-success').waitFor();
}

/** The form of the media manager for browsers without scripts: multipart. */
async function uploadByForm(page, file) {
  await page.route('**/lib/exe/js.php*', (route) => route.abort());
  await page.goto(`${house.origin}/dokuwiki/lib/exe/mediamanager.php?ns=`);
  await page.setInputFiles('#upload__file', { name: file, mimeType: 'image/png', buffer: PNG });
  const sent = page.waitForRequest((request) => request.method() === 'POST');
  await page.click('#dw__upload button[type=submit]');
  assert.match((await sent).headers()['content-type'], /^multipart\/form-data; boundary=/);
  await page.locator('.success', { hasText: 'Upload successful' }).waitFor();
  await page.unroute('**/lib/exe/js.php*');
}

scene('dokuwiki: two people, one after the other, write and upload as themselves and leave by its own link', async (context, at) => {
  const page = await context.newPage();
  const people = [['alice', 'Alice Archer', uploadByScript], ['bob', 'Bob Baker', uploadByForm]];
  const left = {};
  for (const [person, name, upload] of people) {
    await enter(page, at(`${WIKI}?id=start`), person);
    assert.equal(await wikiName(page), person);
    await step(page, `apps-wiki-1-${person}-enters`);
    await write(page, 'start', `Written by ${name}.`);
    await step(page, `apps-wiki-2-${person}-has-written`);
    await upload(page, `${person}.png`);
    await step(page, `apps-wiki-3-${person}-has-uploaded`);
    assert.equal((await page.goto(at(`/dokuwiki/lib/exe/fetch.php?media=${person}.png`))).headers()['content-type'], 'image/png');
    await page.goto(at(`${WIKI}?id=start`));
    left[person] = await appCookies(context);
    assert.ok(left[person].length >= 2, 'the wiki has a session of its own');
    await page.locator('#dokuwiki__usertools .logout a').click();
    await leave(page);
    await step(page, `apps-wiki-4-${person}-has-left`);
    assert.deepEqual(await appCookies(context), []);
    assert.equal((await context.request.get(at(WIKI))).status(), 401, 'and nobody is there any more');
  }
  await enter(page, at(`${WIKI}?id=start`), 'alice');
  assert.deepEqual(await history(page, 'start'), ['bob', 'alice']);
  await step(page, 'apps-wiki-5-history');
  assert.deepEqual([await fileHistory(page, 'alice.png'), await fileHistory(page, 'bob.png')], [['alice'], ['bob']]);

  // Bob's sessions in the wiki are over, and so is his cookie; and nobody else's would make alice bob.
  await context.addCookies(left.bob.map(({ name, value, path }) => ({ name, value, domain: 'localhost', path })));
  await page.goto(at(`${WIKI}?id=start`));
  assert.equal(await wikiName(page), 'alice');
});

scene("dokuwiki: the app's session of one person never meets the next, however the first one's session ended", async (context, at) => {
  const page = await context.newPage();
  await enter(page, at(`${WIKI}?id=start`), 'alice');
  await page.goto(at('/bff/logout'));
  await page.getByRole('button', { name: /sign out/i }).click();
  await leave(page);
  await enter(page, at(`${WIKI}?id=start`), 'bob');
  assert.equal(await wikiName(page), 'bob');

  // Ended behind our back: the browser keeps all cookies of the wiki and loses only ours.
  const ours = (await cookies(context, house)).filter(({ name }) => !name.startsWith('D'));
  assert.ok(ours.length > 0, 'our cookies are there');
  for (const { name } of ours) await context.clearCookies({ name });
  assert.ok((await appCookies(context)).length >= 2, 'and those of the wiki stay');
  await context.clearCookies({ domain: '127.0.0.1' });
  await enter(page, at(`${WIKI}?id=start`), 'alice');
  assert.equal(await wikiName(page), 'alice');
});

scene("dokuwiki: nginx's own redirects, which name its own port, lead to the public address", async (context, at) => {
  const page = await context.newPage();
  await enter(page, at(`${WIKI}?id=start`), 'alice');
  assert.equal((await page.goto(at('/dokuwiki/lib'))).status(), 200);
  assert.equal(page.url(), at('/dokuwiki/lib/'));
});

scene("dokuwiki: a link from elsewhere to the app's sign-out only asks", async (context, at) => {
  const page = await context.newPage();
  await enter(page, at(`${WIKI}?id=start`), 'alice');
  await page.goto('data:text/html,<title>elsewhere</title>');
  await page.evaluate((url) => { location.href = url; }, at(`${WIKI}?id=start&do=logout`));
  await page.waitForURL('**/bff/logout');
  await page.goto(at(`${WIKI}?id=start`));
  assert.equal(await wikiName(page), 'alice');
});

const CALENDAR = '/radicale/.web/';

/** Radicale's page asks for a name, and believes the header alone. */
async function openCollections(page, typed) {
  await page.fill('#loginscene [data-name=user]', typed);
  await page.click('#loginscene button[type=submit]');
  await page.locator('#collectionsscene').waitFor();
}

async function addCalendar(page, title) {
  await page.click('#collectionsscene [data-name=new]');
  await page.fill('#createcollectionscene [data-name=displayname]', title);
  await page.selectOption('#createcollectionscene [data-name=type]', 'CALENDAR');
  await page.click('#createcollectionscene [data-name=submit]');
  await page.locator('#collectionsscene article h2', { hasText: title, visible: true }).waitFor();
}

const calendars = async (page) => {
  const shown = page.locator('#collectionsscene article:not(.hidden)');
  return Promise.all((await shown.all()).map(async (one) => [
    await one.locator('[data-name=title]').textContent(), await one.locator('[data-name=url]').textContent(),
  ]));
};

scene('radicale: on gunicorn, two people have calendars of their own', async (context, at) => {
  const page = await context.newPage();
  const urls = {};
  for (const [person, name] of [['alice', 'Alice'], ['bob', 'Bob']]) {
    await enter(page, at(CALENDAR), person);
    // Whatever is typed: the app asks the gateway who it is.
    await openCollections(page, 'alice');
    await addCalendar(page, `${name}'s diary`);
    await step(page, `apps-calendar-1-${person}`);
    const [[title, url], ...others] = await calendars(page);
    assert.deepEqual([title, others], [`${name}'s diary`, []]);
    assert.match(url, new RegExp(`^${house.origin}/radicale/${person}/[\\w-]+/$`));
    urls[person] = new URL(url).pathname;

    const event = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//x//y//EN', 'BEGIN:VEVENT', 'UID:one', 'DTSTAMP:20260101T000000Z',
      'DTSTART:20260102T100000Z', `SUMMARY:Dinner with ${name}`, 'END:VEVENT', 'END:VCALENDAR', ''].join('\r\n');
    const put = await fetchFrom(page, `${urls[person]}one.ics`, { method: 'PUT', body: event, headers: { 'content-type': 'text/calendar' } });
    assert.equal(put.status, 201);
    assert.match((await fetchFrom(page, urls[person])).text, new RegExp(`SUMMARY:Dinner with ${name}`));
    if (person === 'bob') {
      for (const [path, init] of [[urls.alice, {}], [`${urls.alice}one.ics`, { method: 'DELETE' }],
        [urls.alice, { headers: { 'x-remote-user': 'alice', 'X_Remote_User': 'alice' } }],
        [urls.alice, { headers: { authorization: `Basic ${btoa('alice:alice')}` } }]]) {
        assert.equal((await fetchFrom(page, path, init)).status, 403, `${init.method ?? 'GET'} ${path}`);
      }
    }
    const moved = await fetchFrom(page, '/radicale/.well-known/caldav');
    assert.deepEqual([moved.status, moved.redirected], [200, true], 'redirects lead back behind the prefix');
    await page.goto(at('/bff/logout'));
    await page.getByRole('button', { name: /sign out/i }).click();
    await leave(page);
    assert.equal((await context.request.get(at(urls[person]))).status(), 401);
  }
});

const said = (page, text) => page.locator('#said li', { hasText: text }).waitFor();
const shows = (page, id, text) => page.locator(id, { hasText: text }).waitFor();

scene('chat: WebSocket and events pass, and both end when the person signs out in another tab', async (context, at) => {
  const page = await context.newPage();
  await enter(page, at('/chat/'), 'alice');
  await shows(page, '#me', 'alice');
  await shows(page, '#state', 'connected by websocket');
  await shows(page, '#extensions', 'permessage-deflate');
  await page.fill('input[name=text]', 'hello, is anybody there?');
  await page.keyboard.press('Enter');
  await said(page, 'alice: hello, is anybody there?');
  // Each item is written after the one before was read: nothing may be held back on the way.
  await shows(page, '#news', 'alice reads item 9');
  await step(page, 'apps-chat-1-alice');

  const other = await browser.newContext();
  const bob = await other.newPage();
  await enter(bob, at('/chat/'), 'bob');
  await shows(bob, '#state', 'connected by websocket');
  await bob.fill('input[name=text]', 'x'.repeat(200_000));
  await bob.keyboard.press('Enter');
  await said(page, `bob: ${'x'.repeat(200_000)}`);

  const tab = await context.newPage();
  await tab.goto(at('/bff/logout'));
  await tab.getByRole('button', { name: /sign out/i }).click();
  await shows(page, '#closed', '4401');
  await shows(page, '#ticker', 'closed');
  await shows(page, '#again', '401');
  await step(page, 'apps-chat-2-alice-signed-out-elsewhere');
  await leave(tab);
  await until('the app hears of it', () => house.chat.lines.some((line) => /^alice left:/.test(line)));

  await bob.fill('input[name=text]', 'still here');
  await bob.keyboard.press('Enter');
  await said(bob, 'bob: still here');
  await other.close();
});

test('the log names no person, no cookie and no password of an app', () => {
  const log = gatewayLog(house).join('\n');
  assert.ok(gatewayLog(house).length > 50, 'there is a log to look at');
  for (const word of [den.password, 'alice', 'Archer', '~kc.']) assert.ok(!log.includes(word), `the log holds ${word}`);
});
