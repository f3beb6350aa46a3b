// Firefox, spoken to in its own tongue.
//
// I own: Marionette, the protocol that geckodriver translates into: WebDriver's commands as JSON on a socket. I may call:
// ../house.mjs for the process, window.mjs. I never use a profile but a fresh one.
//
// https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../house.mjs';
import { Window } from './window.mjs';

const FIREFOX = process.env.KEYCARD_FIREFOX ?? '/usr/bin/firefox-esr';

/** Port 0: it picks one, and writes it into the profile. The rest: not a word to the outside. */
const PREFERENCES = {
  'marionette.port': 0,
  'network.proxy.type': 0,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
  'app.update.disabledForTesting': true,
  'app.normandy.enabled': false,
  'browser.safebrowsing.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'services.settings.server': 'data:,',
};

/** A started Firefox: `window`, and `stop()`. */
export async function firefox(name) {
  if (!existsSync(FIREFOX)) throw new Error(`Firefox is not there: ${FIREFOX} (tests/install)`);
  const profile = mkdtempSync(join(tmpdir(), 'keycard-firefox-'));
  const lines = Object.entries(PREFERENCES).map(([key, value]) => `user_pref(${JSON.stringify(key)}, ${JSON.stringify(value)});`);
  writeFileSync(join(profile, 'user.js'), lines.join('\n'));
  const child = new Child('Firefox', FIREFOX, ['--headless', '--no-remote', '--marionette', '--profile', profile,
    '--width', '1280', '--height', '900'], { MOZ_CRASHREPORTER_DISABLE: '1' });
  let marionette;
  const stop = async () => {
    await marionette?.send('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => {});
    marionette?.close();
    await child.stop();
    rmSync(profile, { recursive: true, force: true });
  };
  try {
    const port = await child.ready(() => {
      const file = join(profile, 'MarionetteActivePort');
      return existsSync(file) && Number(readFileSync(file, 'utf8'));
    });
    marionette = await Marionette.open(port);
    const { capabilities } = await marionette.send('WebDriver:NewSession', {});
    await marionette.send('WebDriver:SetTimeouts', { script: 15_000, pageLoad: 15_000 });
    const window = new Window(name, async (command, parameters) => {
      const answer = await marionette.send(`WebDriver:${command}`, parameters);
      // Single values come wrapped, lists and objects as they are.
      return answer && 'value' in answer && Object.keys(answer).length === 1 ? answer.value : answer;
    });
    return { window, stop, version: capabilities.browserVersion, tail: () => child.tail() };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Messages are `<length in bytes>:<JSON>`: `[0, id, command, parameters]` one way, `[1, id, error, result]` the other. */
class Marionette {
  #socket;
  #rest = Buffer.alloc(0);
  #waiting = new Map();
  #next = 1;

  static open(port) {
    return new Promise((resolve, reject) => {
      const it = new Marionette();
      it.#socket = connect(port, '127.0.0.1').on('error', reject);
      it.#socket.on('data', (bytes) => it.#hear(bytes, () => resolve(it)));
      it.#socket.on('close', () => it.#waiting.forEach(({ reject: fail }) => fail(new Error('Firefox has hung up'))));
    });
  }

  send(command, parameters) {
    return new Promise((resolve, reject) => {
      const id = this.#next;
      this.#next += 1;
      this.#waiting.set(id, { resolve, reject });
      const text = JSON.stringify([0, id, command, parameters]);
      this.#socket.write(`${Buffer.byteLength(text)}:${text}`);
    });
  }

  close() {
    this.#socket.destroy();
  }

  #hear(bytes, greeted) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const colon = this.#rest.indexOf(':');
      const end = colon + 1 + Number(this.#rest.subarray(0, colon));
      if (colon < 0 || this.#rest.length < end) return;
      const message = JSON.parse(this.#rest.subarray(colon + 1, end));
      this.#rest = this.#rest.subarray(end);
      // The first one says which protocol this is.
      if (!Array.isArray(message)) greeted();
      else this.#settle(message);
    }
  }

  #settle([, id, error, result]) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new Error(`${error.error}: ${error.message}`));
    else resolve(result);
  }
}
