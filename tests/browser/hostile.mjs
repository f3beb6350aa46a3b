// What a page of another origin can make a browser send.
//
// I own: the ways to send it, each run inside the hostile page, and how the browser says what came back. I may call:
// house.mjs. I never know whether an attack ought to fail.

import { until } from './house.mjs';

/** By name: a function that runs in the hostile page, with the address to attack. Each stands alone: it is sent to
 *  the browser as text. */
export const ATTACKS = {
  'form urlencoded': (url) => {
    document.body.innerHTML = '<form method="post"><input name="amount" value="1000"></form>';
    Object.assign(document.forms[0], { action: url }).submit();
  },
  'form multipart': (url) => {
    document.body.innerHTML = '<form method="post" enctype="multipart/form-data"><input name="amount" value="1000"></form>';
    Object.assign(document.forms[0], { action: url }).submit();
  },
  'form text': (url) => {
    document.body.innerHTML = '<form method="post" enctype="text/plain"><input name="amount" value="1000"></form>';
    Object.assign(document.forms[0], { action: url }).submit();
  },
  'fetch no-cors': (url) => { fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x' }).catch(() => {}); },
  'fetch cors': (url) => { fetch(url, { method: 'POST', credentials: 'include', body: 'x' }).catch(() => {}); },
  'fetch with a header': (url) => { fetch(url, { method: 'PUT', credentials: 'include', headers: { 'x-csrf': '1' } }).catch(() => {}); },
  beacon: (url) => { navigator.sendBeacon(url, 'x'); },
  image: (url) => { new Image().src = url; },
  script: (url) => { document.head.append(Object.assign(document.createElement('script'), { src: url })); },
  frame: (url) => { document.body.append(Object.assign(document.createElement('iframe'), { src: url })); },
};

/** Opens a page at `from` in a tab of its own, lets it send `attack` to `url`, and waits until the gateway has
 *  answered or the browser gave up: the status, or 0 for given up (a preflight that was refused, an answer that a page
 *  may not see). The tab stays open: Chromium may lose a close in the middle of a navigation. */
export async function attempt(context, from, attack, url) {
  const page = await context.newPage();
  await page.goto(from);
  let outcome;
  const answered = (response) => { if (response.url() === url) outcome ??= response.status(); };
  const failed = (request) => { if (request.url() === url) outcome ??= 0; };
  context.on('response', answered).on('requestfailed', failed);
  try {
    // Not awaited: an attack that leaves its page takes the answer to this call with it.
    page.evaluate(ATTACKS[attack], url).catch(() => {});
    await until(`an answer to ${attack}`, () => outcome !== undefined, 10_000);
  } finally {
    context.off('response', answered).off('requestfailed', failed);
  }
  return outcome;
}
