// A small app as people write it with Vite: it shows who is there, a greeting, and what its API got.
//
// I own: the page. I may call: the client, greeting, its API. I never know that there is a gateway, but by the client.

import { Keycard } from '@keycard/client';
import type { User } from '@keycard/client';
import { greet } from './greeting';

const keycard = new Keycard({ onSignInRequired: () => write('#api', 'sign in first') });

function write(where: string, what: string): void {
  const at = document.querySelector(where);
  if (at) at.textContent = what;
}

const show = (who: User | null): void => write('#who', who?.user.id ?? 'nobody');

const who = await keycard.user();
show(who);
write('#greeting', greet(who?.user.name ?? 'stranger'));
keycard.events.on('session', show);
keycard.events.on('ended', () => show(null));

const answer = await keycard.fetch('/api/things', { method: 'POST', body: '{}' });
if (answer.ok) write('#api', JSON.stringify(await answer.json()));

import.meta.hot?.accept('./greeting', (fresh) => {
  if (fresh) write('#greeting', (fresh['greet'] as typeof greet)(who?.user.name ?? 'stranger'));
});
