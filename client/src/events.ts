// What a page hears of its session.
//
// I own: what this tab knows of who is signed in, and whom it tells. I may call: tabs. I never tell of an ending to a page
// that never knew of a session: it would load itself anew for ever.

import type { User } from './api.js';
import { Tabs } from './tabs.js';
import type { Ask, Told } from './told.js';

/** What a listener gets, by the name of the event. */
export interface SessionEvents {
  /** Somebody is signed in, and for how long. Also when a session goes on after `expiring`; it may come more than once. */
  session: User;
  /** The session ends at `session.idle_until`, in two minutes or less, unless it is used: `user()` will do. */
  expiring: User;
  /** Nobody is signed in any more. `reason` as the handbook lists it; `unknown` where only the fact is known. */
  ended: { reason: string };
  /** Somebody else is signed in now than before. What the page shows and knows belongs to another person: load it anew. */
  changed: User;
}

type Listener<E extends keyof SessionEvents> = (about: SessionEvents[E]) => void;
type Listeners = { [E in keyof SessionEvents]: Set<Listener<E>> };

export class Events {
  readonly #listeners: Listeners = { session: new Set(), expiring: new Set(), ended: new Set(), changed: new Set() };
  readonly #tabs: Tabs;
  readonly #ask: Ask;
  readonly #signedInAgain: () => void;
  /** `undefined` as long as nobody has said. */
  #known: User | null | undefined;
  /** Whom the page was last for, signed out meanwhile or not. */
  #person: string | undefined;
  #hushed = false;

  constructor(prefix: string, ask: Ask, signedInAgain: () => void) {
    this.#ask = ask;
    this.#signedInAgain = signedInAgain;
    this.#tabs = new Tabs(prefix, ask, (told) => this.#learn(told));
  }

  /** Listens; what it returns ends that. With the first listener the page joins the other tabs, with the last it leaves them. */
  on<E extends keyof SessionEvents>(event: E, listener: Listener<E>): () => void {
    const idle = this.#idle();
    this.#listeners[event].add(listener);
    if (idle) this.#begin();
    return () => {
      if (this.#listeners[event].delete(listener) && this.#idle()) this.#stop();
    };
  }

  /** What the page itself has learned from `user()`. */
  noticed(user: User | null): void {
    const before = this.#known;
    if (user === null) return this.#learn({ is: 'ended', reason: 'unknown' });
    // Of a sign-in all tabs hear, this one included.
    if (before === null) this.#tabs.look();
    else this.#learn({ is: 'session', user }, false);
  }

  /** Tells nothing, for as long as that. */
  hush(hushed: boolean): void {
    this.#hushed = hushed;
  }

  #idle(): boolean {
    return Object.values(this.#listeners).every((set) => set.size === 0);
  }

  #begin(): void {
    this.#tabs.join();
    addEventListener('pagehide', this.#hidden);
    addEventListener('pageshow', this.#shown);
    addEventListener('online', this.#look);
    document.addEventListener('visibilitychange', this.#look);
  }

  #stop(): void {
    this.#tabs.leave();
    removeEventListener('pagehide', this.#hidden);
    removeEventListener('pageshow', this.#shown);
    removeEventListener('online', this.#look);
    document.removeEventListener('visibilitychange', this.#look);
  }

  // A page that is put aside hears nothing, and would keep the others from hearing, if the stream were its own.
  readonly #hidden = (): void => this.#tabs.leave();

  readonly #shown = (event: PageTransitionEvent): void => {
    if (!event.persisted) return;
    this.#hushed = false;
    this.#tabs.join();
    this.#look();
  };

  readonly #look = (): void => {
    if (document.visibilityState !== 'visible') return;
    // When nobody can say, nothing is known, and nothing is told.
    this.#ask().then((user) => this.noticed(user), () => {});
  };

  #learn(told: Told, aloud = true): void {
    const before = this.#known;
    const person = this.#person;
    if (told.is === 'ended') {
      this.#known = null;
      if (before) this.#tell('ended', { reason: told.reason });
      return;
    }
    const { is, user } = told;
    this.#known = user;
    this.#person = nameOf(user);
    if (before === null) this.#signedInAgain();
    if (person !== undefined && person !== this.#person) this.#tell('changed', user);
    else if (aloud) this.#tell(is, user);
  }

  #tell<E extends keyof SessionEvents>(event: E, about: SessionEvents[E]): void {
    if (this.#hushed) return;
    for (const listener of [...this.#listeners[event]]) {
      try {
        listener(about);
      } catch (error) {
        // As with any event: one listener's mistake is not another's.
        reportError(error);
      }
    }
  }
}

function nameOf({ user, session }: User): string {
  return JSON.stringify([session.provider, user.id]);
}
