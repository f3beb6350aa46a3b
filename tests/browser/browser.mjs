// What a person does in a browser: sign in, look, press keys, and what the browser then holds.
//
// I own: steps that several tests share, and screenshots. I may call: playwright-core, house.mjs. I never decide
// whether a test passes.

import { join } from 'node:path';
import { SCREENSHOTS } from './house.mjs';

const FORM = 'form#sign-in';
const APP = 'main#app';

/** The person and the address that a page of the app shows; undefined if it is not a page of the app. */
export async function shown(page) {
  if (!await page.locator(APP).count()) return undefined;
  return {
    user: await page.locator('#remote-user').textContent(),
    target: await page.locator('#target').textContent(),
  };
}

/** Opens `url` and signs in wherever the provider asks, until the app is shown. How often it asked. */
export async function signIn(page, url, person) {
  await page.goto(url);
  return finishSignIn(page, person);
}

/** The same from where the page already is. */
export async function finishSignIn(page, person) {
  for (let forms = 0; ; forms += 1) {
    await page.locator(`${FORM}, ${APP}, #refusal`).first().waitFor();
    if (!await page.locator(FORM).count()) {
      if (!await page.locator(APP).count()) throw new Error(`the provider refuses: ${await page.textContent('#refusal')}`);
      return forms;
    }
    if (forms === 3) throw new Error('the provider asks again and again');
    await page.fill('input[name=login]', person);
    await Promise.all([page.waitForNavigation(), page.press('input[name=login]', 'Enter')]);
  }
}

/** Moves the focus with the Tab key until it is on a control named `name`, and presses Enter. */
export async function pressByKeyboard(page, name) {
  for (let steps = 0; steps < 12; steps += 1) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const at = document.activeElement;
      return { text: (at?.textContent || at?.value || '').trim(), ring: at ? getComputedStyle(at).outlineStyle : 'none' };
    });
    if (name.test(focused.text)) {
      await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
      return focused;
    }
  }
  throw new Error(`the keyboard does not reach ${name} at ${page.url()}`);
}

/** The gateway's cookies in this jar. */
export async function cookies(context, house) {
  return context.cookies(house.origin);
}

/** A GET by the page's own script: status, media type, body, and whether it was sent elsewhere. */
export function fetchFrom(page, path, init = {}) {
  return page.evaluate(async ([to, options]) => {
    const answer = await fetch(to, options);
    return {
      status: answer.status,
      type: (answer.headers.get('content-type') ?? '').split(';')[0],
      redirected: answer.redirected,
      text: await answer.text(),
    };
  }, [path, init]);
}

/** Everything that a script of the page can read of what the browser keeps. */
export function readableByScript(page) {
  return page.evaluate(async () => JSON.stringify({
    cookie: document.cookie,
    local: { ...localStorage },
    session: { ...sessionStorage },
    databases: (await indexedDB.databases()).map((database) => database.name),
    workers: (await navigator.serviceWorker?.getRegistrations() ?? []).length,
  }));
}

/** Screenshots of a page of ours: light, dark, and on a phone. */
export async function portrait(page, name) {
  const size = page.viewportSize();
  for (const [look, scheme, width] of [['light', 'light', 1280], ['dark', 'dark', 1280], ['phone', 'light', 390]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 800 });
    await page.screenshot({ path: join(SCREENSHOTS, `${name}-${look}.png`), fullPage: true });
  }
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(size);
  return { overflow };
}

/** A picture of one step of a walk, for people to look at. */
export function step(page, name) {
  return page.screenshot({ path: join(SCREENSHOTS, `step-${name}.png`) });
}

/** What every open page looks like now, for a failed test; where the pictures are. */
export async function evidence(browser, name) {
  const files = [];
  for (const context of browser?.contexts() ?? []) {
    for (const page of context.pages()) {
      const file = join(SCREENSHOTS, `failed-${name}-${files.length}.png`);
      const taken = await page.screenshot({ path: file, timeout: 5_000 }).then(() => true, () => false);
      files.push(`${taken ? file : 'no picture'}  ${page.url()}`);
    }
  }
  return files;
}
