// The event stream of the gateway, held open.
//
// I own: one EventSource at a time, when to open it again, and what its words mean. I may call: whoever asks for the user.
// I never tell anybody that a session has ended before I have asked: it may have been replaced by a new one.

import { paths } from './api.js';
import type { Lease, Over, User } from './api.js';
import type { Ask, Told } from './told.js';

/** The pauses between attempts begin and end here, in milliseconds, a half more or less. */
const [FIRST, LONGEST] = [1_000, 30_000];
/** The endings that a sign-in in this very browser brings about, and how often to ask for it at most: the old session ends
 *  before the browser has its new cookie. */
const REPLACED = ['person-changed', 'replaced'];
const [PATIENCE, STEP] = [6, 250];

/** A replaced session lives ten seconds more, and any other is announced two minutes ahead: below so many milliseconds the
 *  successor is waited for this long. */
const [SUDDEN, SETTLE] = [15_000, 1_000];
/** By so much two readings of one session's end may differ, in milliseconds. */
const SLACK = 5_000;

export class Stream {
  readonly #url: string;
  readonly #ask: Ask;
  readonly #tell: (told: Told) => void;
  #source: EventSource | undefined;
  /** The last word of the stream that is open; none until it has said something. */
  #said: 'session' | 'expiring' | undefined;
  /** The end that it announced with that. */
  #until = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Why it has ended, if the stream said so. */
  #reason = 'unknown';
  #patience = 0;
  #failures = 0;
  /** Answers to earlier questions count no more. */
  #asked = 0;
  #stopped = false;

  constructor(prefix: string, ask: Ask, tell: (told: Told) => void) {
    this.#url = prefix + paths.events;
    this.#ask = ask;
    this.#tell = tell;
  }

  /** Opens the stream, if it is not open; says again how things are, if it is. */
  look(): void {
    if (!('EventSource' in globalThis)) return;
    const state = this.#source?.readyState ?? EventSource.CLOSED;
    if (state === EventSource.CLOSED) this.#open();
    else if (this.#source && this.#said) void this.#confirm(this.#source);
  }

  stop(): void {
    this.#stopped = true;
    this.#close();
  }

  #open(): void {
    this.#close();
    if (this.#stopped) return;
    const source = new EventSource(this.#url);
    this.#source = source;
    for (const is of ['session', 'expiring'] as const) {
      source.addEventListener(is, ({ data }: MessageEvent<string>) => {
        this.#said = is;
        this.#until = Date.parse((JSON.parse(data) as Lease).idle_until);
        this.#reason = 'unknown';
        this.#failures = 0;
        // A session that ends so suddenly was replaced by a new sign-in, whose cookie may still be on its way.
        const sudden = is === 'expiring' && this.#until - Date.now() < SUDDEN;
        if (sudden) setTimeout(() => void this.#confirm(source), SETTLE);
        else void this.#confirm(source);
      });
    }
    source.addEventListener('ended', ({ data }: MessageEvent<string>) => {
      source.close();
      this.#reason = (JSON.parse(data) as Over).reason;
      this.#patience = REPLACED.includes(this.#reason) ? PATIENCE : 0;
      void this.#confirm(source);
    });
    // A browser would try again by itself, at times for ever, at times never. A 401 looks like a lost line.
    source.addEventListener('error', () => {
      source.close();
      void this.#confirm(source);
    });
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
    this.#said = undefined;
  }

  /** Asks who is there, since the stream does not say, and tells. */
  async #confirm(source: EventSource): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    let user: User | null | undefined;
    try {
      user = await this.#ask();
    } catch {
      // Nobody can say. That is no ending.
      user = undefined;
    }
    // Somebody else asked later, or there is nobody to tell.
    if (this.#stopped || this.#source !== source || this.#asked !== asked) return;
    const open = source.readyState !== source.CLOSED;
    if (user === undefined) return this.#again(() => (open ? void this.#confirm(source) : this.#open()));
    if (user === null && this.#patience > 0) {
      this.#patience -= 1;
      this.#timer = setTimeout(() => void this.#confirm(source), STEP);
      return;
    }
    if (user === null) {
      // Until somebody says that there is a session again.
      this.#close();
      return this.#tell({ is: 'ended', reason: this.#reason });
    }
    // Where the session was replaced, this stream speaks of the old one, which lives a few seconds more.
    const replaced = this.#said === 'expiring' && Date.parse(user.session.idle_until) > this.#until + SLACK;
    if (open && !replaced) this.#watch(source, user);
    else this.#again(() => this.#open());
    this.#tell({ is: (open && !replaced && this.#said) || 'session', user });
  }

  #again(act: () => void): void {
    const pause = Math.min(LONGEST, FIRST * 2 ** this.#failures) * (0.5 + Math.random());
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, pause);
  }

  /** A line can be dead for long before anybody notices; when the session should have ended, somebody looks. */
  #watch(source: EventSource, { session }: User): void {
    const left = Date.parse(session.idle_until) - Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#confirm(source), Math.min(Math.max(left, 0) + 60_000, 2 ** 31 - 1));
  }
}
