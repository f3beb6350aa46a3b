// A page that uses the client as it was built: it shows who is there, and reports what it hears.
//
// I own: nothing. I may call: the client; `report`, where a test has put it. I never do more than a small app would.

import { Keycard, KeycardError } from '/spa/client/index.js';

const asks = new URLSearchParams(location.search).has('ask');
const keycard = new Keycard(asks ? { onSignInRequired: (problem) => report('asked', problem) } : {});
const show = (user) => { document.querySelector('#who').textContent = user ? user.user.id : 'nobody'; };

document.querySelector('#login').addEventListener('click', () => keycard.login());
document.querySelector('#logout').addEventListener('click', () => keycard.logout());
Object.assign(window, { keycard, KeycardError });

show(await keycard.user());
for (const event of ['session', 'expiring', 'changed', 'ended']) {
  keycard.events.on(event, (about) => {
    show('user' in about ? about : null);
    window.report?.(event, about);
  });
}
