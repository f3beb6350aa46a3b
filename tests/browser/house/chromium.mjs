// A window of Chromium, with the verbs of window.mjs.
//
// I own: the translation to Playwright. I may call: ../browser.mjs for portraits, a page of Playwright. I never know what
// is walked.

import assert from 'node:assert/strict';
import { portrait } from '../browser.mjs';

/** `name` begins the names of its pictures: light, dark and on a phone, and none may be wider than its screen. */
export function chromiumWindow(page, name) {
  let front = page;
  return {
    goto: (url) => front.goto(url),
    reload: () => front.reload(),
    url: () => front.url(),
    click: (css) => front.click(css),
    type: (css, text) => front.fill(css, text),
    see: async (css, text = '') => {
      const at = front.locator(css).filter({ hasText: text, visible: true }).first();
      await at.waitFor();
      return at.textContent();
    },
    script: (body) => front.evaluate(`(async () => { ${body} })()`),
    cookies: () => front.context().cookies(front.url()),
    another: async (url) => {
      const here = front;
      front = await here.context().newPage();
      await front.goto(url);
      return {
        back: async () => {
          await front.close();
          front = here;
          await front.bringToFront();
        },
      };
    },
    picture: async (what) => assert.deepEqual(await portrait(front, `${name}-${what}`), { overflow: false }, what),
  };
}
