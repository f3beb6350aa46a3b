// WebKit, in its GTK port: the engine of Safari, as near to it as a machine without macOS comes.
//
// I own: a screen that nobody sees, the driver, and WebDriver over HTTP. I may call: ../house.mjs for processes,
// window.mjs. I never use a profile: under automation, MiniBrowser keeps everything in memory.

import { existsSync } from 'node:fs';
import { Child, freePort } from '../house.mjs';
import { Window } from './window.mjs';

const DRIVER = process.env.KEYCARD_WEBKIT_DRIVER ?? '/usr/bin/WebKitWebDriver';
const SCREEN = '/usr/bin/Xvfb';

/** The commands that window.mjs gives (WebDriver section 6.3), as requests; `{id}` is a parameter. */
const REQUESTS = {
  Navigate: ['POST', '/url'],
  Refresh: ['POST', '/refresh'],
  GetCurrentURL: ['GET', '/url'],
  FindElement: ['POST', '/element'],
  ElementClick: ['POST', '/element/{id}/click'],
  ElementClear: ['POST', '/element/{id}/clear'],
  ElementSendKeys: ['POST', '/element/{id}/value'],
  ExecuteScript: ['POST', '/execute/sync'],
  ExecuteAsyncScript: ['POST', '/execute/async'],
  GetCookies: ['GET', '/cookie'],
  GetWindowHandle: ['GET', '/window'],
  NewWindow: ['POST', '/window/new'],
  SwitchToWindow: ['POST', '/window'],
  CloseWindow: ['DELETE', '/window'],
  TakeScreenshot: ['GET', '/screenshot'],
};

/** A started WebKit: `window`, and `stop()`. */
export async function webkit(name) {
  for (const [what, file] of [['WebKitWebDriver', DRIVER], ['Xvfb', SCREEN]]) {
    if (!existsSync(file)) throw new Error(`${what} is not there: ${file} (tests/install)`);
  }
  const screen = new Child('Xvfb', SCREEN, ['-displayfd', '1', '-screen', '0', '1280x900x24', '-nolisten', 'tcp']);
  let driver;
  let session;
  const stop = async () => {
    if (session) await ask('DELETE', session).catch(() => {});
    await driver?.stop();
    await screen.stop();
  };
  try {
    const display = await screen.ready(() => screen.lines.find((line) => /^\d+$/.test(line)));
    const port = await freePort();
    driver = new Child('WebKit', DRIVER, [`--port=${port}`], {
      DISPLAY: `:${display}`,
      GDK_BACKEND: 'x11',
      LANG: 'C.UTF-8',
      // There is no graphics card, and no bus of a desktop.
      LIBGL_ALWAYS_SOFTWARE: '1',
      GSETTINGS_BACKEND: 'memory',
      NO_AT_BRIDGE: '1',
      no_proxy: '*',
    });
    const base = `http://127.0.0.1:${port}`;
    await driver.ready(async () => (await ask('GET', `${base}/status`)).ready);
    const { sessionId, capabilities } = await ask('POST', `${base}/session`, { capabilities: { alwaysMatch: {} } });
    session = `${base}/session/${sessionId}`;
    await ask('POST', `${session}/timeouts`, { script: 15_000, pageLoad: 15_000 });
    await ask('POST', `${session}/window/rect`, { width: 1280, height: 900 });
    const window = new Window(name, (command, { id, ...parameters }) => {
      const [method, path] = REQUESTS[command];
      return ask(method, session + path.replace('{id}', id), method === 'POST' ? parameters : undefined);
    });
    return { window, stop, version: capabilities.browserVersion, tail: () => driver.tail() };
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${driver?.tail() ?? screen.tail()}`, { cause: error });
  }
}

/** One command, and its value. */
async function ask(method, url, parameters) {
  const answer = await fetch(url, {
    method, body: parameters && JSON.stringify(parameters), signal: AbortSignal.timeout(30_000),
  });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`${value.error}: ${value.message}`);
  return value;
}
