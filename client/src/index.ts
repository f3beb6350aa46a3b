// What a page gets.
//
// I own: the list of what is public. I never hold code.

export { Keycard } from './client.js';
export type { LoginOptions, Options } from './client.js';
export type { SessionEvents } from './events.js';
export { KeycardError } from './problem.js';
export type { EndedOwn, OwnSession, OwnSessions, Problem, SignInRequired, User } from './api.js';
