// One stream for all tabs: a browser opens no more than six connections to a host over HTTP/1.1, and a stream takes one for
// good.
//
// I own: who listens, and the words between tabs. I may call: stream. I never trust that a browser has the means: without
// locks or channels each tab listens for itself.

import { Stream } from './stream.js';
import { isTold, LOOK } from './told.js';
import type { Ask, Told } from './told.js';

export class Tabs {
  readonly #name: string;
  readonly #prefix: string;
  readonly #ask: Ask;
  readonly #hear: (told: Told) => void;
  #channel: BroadcastChannel | undefined;
  #stream: Stream | undefined;
  /** Gives the leadership back, or the place in the queue for it. */
  #leave: (() => void) | undefined;

  constructor(prefix: string, ask: Ask, hear: (told: Told) => void) {
    // The number is for tabs that have stayed open while the client was replaced: they do not understand each other.
    this.#name = `keycard:1:${prefix}`;
    this.#prefix = prefix;
    this.#ask = ask;
    this.#hear = hear;
  }

  join(): void {
    if (this.#leave) return;
    let over = false;
    let release = (): void => {};
    const queue = new AbortController();
    this.#leave = () => {
      over = true;
      queue.abort();
      release();
    };
    const lead = (): void => {
      if (!over) this.#lead();
    };
    // Locks are for secure origins only; `public_url` may be plain http on this machine's name in a test.
    if (!('locks' in navigator) || !('BroadcastChannel' in globalThis)) return lead();
    const channel = new BroadcastChannel(this.#name);
    this.#channel = channel;
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (data === LOOK) this.#stream?.look();
      else if (isTold(data)) this.#hear(data);
    };
    navigator.locks
      .request(this.#name, { signal: queue.signal }, () => {
        lead();
        return new Promise<void>((done) => { over ? done() : release = done; });
      })
      // Refused, as in a sandboxed frame. Where it was only left, nothing happens any more.
      .catch(lead);
    channel.postMessage(LOOK);
  }

  leave(): void {
    this.#leave?.();
    this.#leave = undefined;
    this.#stream?.stop();
    this.#stream = undefined;
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Things are not as was told: whoever listens shall look. */
  look(): void {
    if (this.#stream) this.#stream.look();
    else this.#channel?.postMessage(LOOK);
  }

  #lead(): void {
    this.#stream ??= new Stream(this.#prefix, this.#ask, (told) => {
      this.#channel?.postMessage(told);
      this.#hear(told);
    });
    this.#stream.look();
  }
}
