// Made by scripts/generate.mjs from docs/openapi.yaml: change that one, then `npm run generate`.

/** Where Keycard's endpoints are, below `server.prefix`. */
export const paths = {
  login: '/login',
  user: '/user',
  sessions: '/sessions',
  events: '/events',
  logout: '/logout',
  signedOut: '/signed-out',
} as const;

/** The query of `GET login`. */
export interface LoginQuery {
  /** A path on the same origin to go to afterwards. Anything else leads to `/`. `returnUrl` is the same. */
  return_to?: string;
  /** The `id` of a provider; without it, the first one. */
  provider?: string;
  prompt?: 'none' | 'login' | 'consent' | 'select_account' | 'create';
  login_hint?: string;
  /** How many seconds old the sign-in at the provider may be. */
  max_age?: number;
  /** Authentication levels with spaces between, 256 bytes at most. */
  acr_values?: string;
}

/** The query of `GET user`. */
export interface UserQuery {
  slide?: 'true' | 'false';
}

export interface EndedOwn {
  handle: string;
  /** Whether it was the session that asked: nobody is signed in here any more. */
  current: boolean;
}

export interface Lease {
  /** When silence ends it. */
  idle_until: string;
  /** When it ends, however busy. */
  ends: string;
}

export interface Over {
  /** Why it has ended, as the handbook lists: `by-user`, `idle`, … */
  reason: string;
}

export interface OwnSession {
  /** The session's name; it opens nothing. */
  handle: string;
  /** Whether it is the session that asks. */
  current: boolean;
  started: string;
  last_seen: string;
  /** When it ends, however busy. */
  ends: string;
  /** Where the sign-in came from. */
  address: string;
  /** What the browser said of itself then. */
  user_agent: string;
  provider: string;
}

export interface OwnSessions {
  sessions: OwnSession[];
  /** There are more than these, which are 500 at most. */
  more: boolean;
}

export interface Problem {
  /** `urn:keycard:problem:` and the code. */
  type: string;
  title: string;
  status: number;
  detail: string;
  /** The id of a key that would be needed to take in a file. */
  key?: string;
  /** Also in the log line, and in X-Request-Id. */
  correlation_id: string;
}

export interface SignedOut {
  /** Where to send the browser, so that the provider's own session ends. Never with a token. */
  end_session_url: string | null;
}

export interface SignInRequired {
  type: 'urn:keycard:problem:sign-in-required';
  title: string;
  status: 401;
  /** A path; add `?return_to=` yourself. */
  login_url: string;
  correlation_id: string;
}

export interface User {
  user: {
    /** What `identity.user_id` names. */
    id: string;
    name: string | null;
    email: string | null;
    roles: string[];
    /** The claims that `identity.claims` lists, and no others. */
    claims: Record<string, unknown>;
  };
  session: {
    started: string;
    /** When silence ends it. */
    idle_until: string;
    /** When it ends, however busy. */
    ends: string;
    provider: string;
    /** The authentication level, if the provider told one. */
    acr: string | null;
  };
  /** A path with the session's own `sid`. */
  logout_url: string;
}
