// The tour of `keycard demo` in the other two families of browsers: Firefox, and WebKit for Safari.
//
// I own: which browsers, and how long each may take. I may call: tour.mjs, house/. I never test what one browser is
// enough for: demo.mjs does, in Chromium.
//
// node --test tests/browser/demo_browsers.mjs     after `cargo build`; pictures are put beside the build, in
//                                                 target/screenshots/{firefox,webkit}-*.png

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { firefox } from './house/firefox.mjs';
import { webkit } from './house/webkit.mjs';
import { follow } from './tour.mjs';

for (const [name, open] of [['firefox', firefox], ['webkit', webkit]]) {
  test(`the tour of the demo, as printed, in ${name}`, { timeout: 120_000 }, async (t) => {
    const data = mkdtempSync(join(tmpdir(), 'keycard-demo-test-'));
    let browser;
    try {
      browser = await open(name);
      assert.match(browser.version, /^\d/);
      t.diagnostic(`${name} ${browser.version}`);
      await follow(browser.window, data);
    } catch (error) {
      await browser?.window.picture('failed').catch(() => {});
      console.error(browser?.tail());
      throw error;
    } finally {
      await browser?.stop();
      rmSync(data, { recursive: true, force: true });
    }
  });
}
