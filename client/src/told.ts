// What tabs tell each other.
//
// I own: the form of messages. I never hold code beyond their recognition.

import type { User } from './api.js';

/** What is known of the session, as the tab that listens tells it to all. */
export type Told = { is: 'session' | 'expiring'; user: User } | { is: 'ended'; reason: string };

/** "How do things stand?", asked by a tab that has just come. */
export const LOOK = 'look';

/** Who is signed in, without counting as use. */
export type Ask = () => Promise<User | null>;

/** A message of this version of ours. */
export function isTold(message: unknown): message is Told {
  return typeof message === 'object' && message !== null && 'is' in message;
}
