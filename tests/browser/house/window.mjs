// A window of a browser that speaks WebDriver's commands, and what a person does in it.
//
// I own: the few verbs that the tour needs; chromium.mjs has the same ones on Playwright. I may call: ../house.mjs for
// bounds and the folder of pictures; a browser hands me `send(command, parameters)`. I never know which browser it is.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCREENSHOTS, until } from '../house.mjs';

const BOUND = 30_000;
/** The one key of an object that stands for an element (WebDriver section 12.1). */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

export class Window {
  #send;
  #name;

  /** `name` begins the names of its pictures. */
  constructor(name, send) {
    this.#name = name;
    this.#send = send;
  }

  goto(url) {
    return this.#send('Navigate', { url });
  }

  reload() {
    return this.#send('Refresh', {});
  }

  /** Where it is. */
  url() {
    return this.#send('GetCurrentURL', {});
  }

  /** Clicks on what `css` finds, as soon as it is there and can be clicked. */
  click(css) {
    return until(`${css} can be clicked`, async () => {
      await this.#send('ElementClick', { id: await this.#find(css) });
      return true;
    }, BOUND);
  }

  /** Types into a field that `css` finds, in place of what is there. */
  async type(css, text) {
    await this.see(css);
    const id = await this.#find(css);
    await this.#send('ElementClear', { id });
    await this.#send('ElementSendKeys', { id, text });
  }

  /** Waits until there is something to see at `css`, with `text` in it. What it says. */
  see(css, text = '') {
    return until(`${css} shows '${text}'`, async () => {
      const said = await this.#send('ExecuteScript', {
        script: 'const [at] = [...document.querySelectorAll(arguments[0])].filter((e) => e.getClientRects().length); return at?.textContent ?? null;',
        args: [css],
      });
      return said?.includes(text) ? { said } : undefined;
    }, BOUND).then(({ said }) => said);
  }

  /** What the page's own script would get: `body` is the body of an asynchronous function. */
  async script(body) {
    const { value, error } = await this.#send('ExecuteAsyncScript', {
      script: `const done = arguments[arguments.length - 1];
        (async () => { ${body} })().then((value) => done({ value }), (error) => done({ error: String(error) }));`,
      args: [],
    });
    if (error) throw new Error(error);
    return value;
  }

  /** Every cookie of the page that is open. */
  cookies() {
    return this.#send('GetCookies', {});
  }

  /** Opens a second window and goes there; `back` closes it and returns. Not a tab: WebKit's driver opens one, but does
   *  not bring it to the front, and a hidden page need not notice anything. */
  async another(url) {
    const here = await this.#send('GetWindowHandle', {});
    const { handle } = await this.#send('NewWindow', { type: 'window' });
    await this.#send('SwitchToWindow', { handle, focus: true });
    await this.goto(url);
    return {
      back: async () => {
        await this.#send('CloseWindow', {});
        await this.#send('SwitchToWindow', { handle: here, focus: true });
      },
    };
  }

  /** A picture for people to look at. */
  async picture(name) {
    // What was drawn last may be older than what is there.
    await this.script('await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
    const png = await this.#send('TakeScreenshot', { full: false });
    writeFileSync(join(SCREENSHOTS, `${this.#name}-${name}.png`), Buffer.from(png.value ?? png, 'base64'));
  }

  async #find(css) {
    const found = await this.#send('FindElement', { using: 'css selector', value: css });
    return found[ELEMENT];
  }
}
