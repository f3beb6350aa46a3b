// Sign-in, sign-out, who is there, and a fetch that knows about both.
//
// I own: requests to Keycard's endpoints, and navigations to them. I may call: the types of the API, problem, events. I
// never keep anything of a person, never send the browser to another origin on the word of an app, and never take an error
// for "nobody is signed in".

import { paths } from './api.js';
import type { EndedOwn, LoginQuery, OwnSessions, SignedOut, SignInRequired, User } from './api.js';
import { Events } from './events.js';
import { KeycardError, signInRequired } from './problem.js';

export interface Options {
  /** `server.prefix` of the gateway; `/bff` unless set. */
  prefix?: string;
  /** What to do, in place of going to the sign-in at once, when `fetch` finds that nobody is signed in: ask first, say, where
   *  there is unsaved work. Called once; again only after a sign-in that `events` has told of. */
  onSignInRequired?: (problem: SignInRequired) => void;
}

export interface LoginOptions {
  /** A path of this origin to come back to; without it, this very page with its query. */
  returnTo?: string;
  provider?: string;
  prompt?: NonNullable<LoginQuery['prompt']>;
  loginHint?: string;
  /** Seconds. */
  maxAge?: number;
  acrValues?: string;
}

/** Whoever was sent to the sign-in by `fetch` and has to go there again so soon would go in circles. */
const CIRCLE = 60_000;
const SENT = 'keycard:sent-to-sign-in';

export class Keycard {
  /** What happens to the session, in whichever tab. Nothing is opened until somebody listens. */
  readonly events: Events;
  readonly #prefix: string;
  readonly #onSignInRequired: Options['onSignInRequired'];
  #asked = false;

  constructor({ prefix = '/bff', onSignInRequired }: Options = {}) {
    this.#prefix = prefix;
    this.#onSignInRequired = onSignInRequired;
    this.events = new Events(prefix, () => this.#whoIsThere(false), () => { this.#asked = false; });
  }

  /** Who is signed in; `null` when nobody is. Counts as use of the session, unless `slide` is false.
   *
   *  Throws a `KeycardError` when Keycard cannot say, and a `TypeError` when it cannot be reached. */
  async user({ slide = true }: { slide?: boolean } = {}): Promise<User | null> {
    const user = await this.#whoIsThere(slide);
    this.events.noticed(user);
    return user;
  }

  /** Leaves the page for the sign-in, which leads back to it. */
  login(options: LoginOptions = {}): void {
    this.#goToLogin(this.#prefix + paths.login, options);
  }

  /** Signs out here, in all tabs, then leaves for the provider, which signs out, too.
   *
   *  Throws when Keycard does not confirm it: then the person is still signed in, and has to know. */
  async logout(): Promise<void> {
    // The page is about to leave; what the other tabs do at an ending is not for this one.
    this.events.hush(true);
    try {
      const response = await fetch(this.#prefix + paths.logout, { method: 'POST', headers: OURS });
      if (!response.ok) throw await KeycardError.of(response);
      const { end_session_url: provider } = await response.json() as SignedOut;
      location.assign(provider ?? this.#prefix + paths.signedOut);
    } catch (error) {
      this.events.hush(false);
      throw error;
    }
  }

  /** Where the person is signed in, this session first; `null` when nobody is. Counts as use of the session, unless `slide` is
   *  false. */
  async sessions({ slide = true }: { slide?: boolean } = {}): Promise<OwnSessions | null> {
    const url = `${this.#prefix}${paths.sessions}${slide ? '' : '?slide=false'}`;
    const response = await fetch(url, { headers: OURS, cache: 'no-store' });
    if (response.ok) return await response.json() as OwnSessions;
    if (await signInRequired(response)) return null;
    throw await KeycardError.of(response);
  }

  /** Ends one of the person's sessions by its handle. `current` in the answer says that it was this one: then nobody is signed
   *  in here any more, and `events` tells the tabs. `null` when nobody was signed in to begin with.
   *
   *  Throws a `KeycardError` of status 404 for a session that is over already, or somebody else's. */
  async endSession(handle: string): Promise<EndedOwn | null> {
    const url = `${this.#prefix}${paths.sessions}/${encodeURIComponent(handle)}`;
    const response = await fetch(url, { method: 'DELETE', headers: OURS });
    if (response.ok) return await response.json() as EndedOwn;
    if (await signInRequired(response)) return null;
    throw await KeycardError.of(response);
  }

  /** `fetch`, with `X-CSRF: 1` on requests to this origin, and one thing more: the first time that Keycard says that nobody is
   *  signed in, the browser goes to the sign-in, or `onSignInRequired` is called. Whoever called gets the answer all the same,
   *  its body unread. */
  fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const own = new URL(request.url).origin === location.origin;
    // To other origins it would only bring a preflight.
    if (own) request.headers.set('x-csrf', '1');
    const response = await fetch(request);
    if (own && response.type !== 'cors') {
      const problem = await signInRequired(response);
      if (problem) this.#signInRequired(problem);
    }
    return response;
  };

  async #whoIsThere(slide: boolean): Promise<User | null> {
    const url = `${this.#prefix}${paths.user}${slide ? '' : '?slide=false'}`;
    const response = await fetch(url, { headers: OURS, cache: 'no-store' });
    if (response.ok) return await response.json() as User;
    if (await signInRequired(response)) return null;
    throw await KeycardError.of(response);
  }

  #signInRequired(problem: SignInRequired): void {
    if (this.#asked) return;
    this.#asked = true;
    if (this.#onSignInRequired) return this.#onSignInRequired(problem);
    if (sentJustNow()) return;
    this.#goToLogin(problem.login_url, {});
  }

  #goToLogin(login: string, options: LoginOptions): void {
    const url = new URL(login, location.href);
    // An app behind Keycard can write the same document; it shall not lead anywhere with it, nor run a script.
    if (url.origin !== location.origin) return;
    const query: LoginQuery = { return_to: options.returnTo ?? location.pathname + location.search };
    if (options.provider !== undefined) query.provider = options.provider;
    if (options.prompt !== undefined) query.prompt = options.prompt;
    if (options.loginHint !== undefined) query.login_hint = options.loginHint;
    if (options.maxAge !== undefined) query.max_age = options.maxAge;
    if (options.acrValues !== undefined) query.acr_values = options.acrValues;
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    location.assign(url);
  }
}

const OURS = { accept: 'application/json', 'x-csrf': '1' };

/** Whether this tab was sent to the sign-in a moment ago. If it was not, it is now. */
function sentJustNow(): boolean {
  try {
    const now = Date.now();
    if (Math.abs(now - Number(sessionStorage.getItem(SENT))) < CIRCLE) return true;
    sessionStorage.setItem(SENT, String(now));
    return false;
  } catch {
    // No storage, no memory: rather not than in circles.
    return true;
  }
}
