// What Keycard says when it says no.
//
// I own: the reading of problem documents (RFC 9457). I may call: the types of the API. I never use up the body of an
// answer that somebody else wants to read.

import type { Problem, SignInRequired } from './api.js';

/** An answer that is neither what was asked for nor "nobody is signed in": 403, 503, … */
export class KeycardError extends Error {
  override readonly name = 'KeycardError';

  constructor(
    /** The status of the answer. */
    readonly status: number,
    /** What Keycard wrote; `null` where the answer is not of its making, say of a proxy in between. */
    readonly problem: Problem | null,
  ) {
    super(problem ? `${problem.title} (${problem.type}, ${problem.correlation_id})` : `the answer was ${status}`);
  }

  static async of(response: Response): Promise<KeycardError> {
    return new KeycardError(response.status, await read(response) as Problem | null);
  }
}

/** Keycard's "nobody is signed in". An app's own 401 is none: only the app knows what it means. */
export async function signInRequired(response: Response): Promise<SignInRequired | null> {
  if (response.status !== 401) return null;
  const problem = await read(response);
  return problem?.type === 'urn:keycard:problem:sign-in-required' ? problem as SignInRequired : null;
}

async function read(response: Response): Promise<Problem | SignInRequired | null> {
  if (!response.headers.get('content-type')?.startsWith('application/problem+json')) return null;
  try {
    const body = await response.clone().json() as Problem | SignInRequired | null;
    return typeof body?.type === 'string' && body.type.startsWith('urn:keycard:problem:') ? body : null;
  } catch {
    return null;
  }
}
