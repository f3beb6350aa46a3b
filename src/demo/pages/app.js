// The single-page app. It has no token, no cookie that it could read, and no library: it asks, and shows what it hears.
'use strict';

const at = (id) => document.getElementById(id);
const show = (id, shown) => { at(id).hidden = !shown; };
// A moment, with its day where that is not today: a session of ten hours may well end tomorrow.
const time = (text) => {
  const then = new Date(text);
  const today = then.toDateString() === new Date().toDateString();
  const day = today ? {} : { weekday: 'long', day: 'numeric', month: 'long' };
  return then.toLocaleString([], { ...day, hour: '2-digit', minute: '2-digit' });
};

/** Who was there when we last looked. */
let known;

async function look(quietly) {
  let answer;
  try {
    // A look by the clock is no activity of the person: `slide=false`.
    answer = await fetch(`/bff/user${quietly ? '?slide=false' : ''}`, { headers: { accept: 'application/json' } });
  } catch {
    at('about').textContent = 'The gateway does not answer.';
    return;
  }
  const body = await answer.json();
  if (answer.ok) welcome(body);
  else if (answer.status === 401) stranger(body, quietly);
  else at('about').textContent = `The gateway answers ${answer.status}.`;
}

function welcome({ user, session, logout_url: out }) {
  if (known !== user.id) {
    at('greeting').textContent = `Hello, ${user.name ?? user.id}`;
    at('about').textContent = 'You are signed in. All that this page knows comes from /bff/user.';
    known = user.id;
  }
  at('email').textContent = user.email ?? 'unknown';
  at('roles').replaceChildren(...(user.roles.length ? user.roles : ['none']).map((role) => {
    const tag = document.createElement('span');
    tag.className = user.roles.length ? 'tag' : 'tag none';
    tag.textContent = role;
    return tag;
  }));
  at('started').textContent = time(session.started);
  at('idle').textContent = time(session.idle_until);
  at('ends').textContent = time(session.ends);
  at('sign-out').href = out;
  show('life', true);
  show('sign-out', true);
  show('sign-in', false);
  watch();
  chat();
}

function stranger({ login_url: login }, quietly) {
  const noticed = quietly && known;
  if (known !== null) {
    at('greeting').textContent = noticed ? 'Your session has ended' : 'Nobody is signed in';
    at('about').textContent = noticed
      ? 'Somebody or something ended it. This page noticed, and holds nothing that would still work.'
      : 'Signing in takes you to the identity provider and back to this page.';
    known = null;
  }
  const target = new URL(login, location.href);
  target.searchParams.set('return_to', location.pathname);
  at('sign-in').href = target.pathname + target.search;
  show('life', false);
  show('sign-out', false);
  show('sign-in', true);
}

const MEANING = { 200: 'come in', 401: 'nobody is signed in', 403: 'signed in, but not a teacher', 503: 'not now' };

async function call() {
  at('call').disabled = true;
  try {
    const answer = await fetch('/api/lessons', { headers: { accept: 'application/json' } });
    const text = await answer.text();
    at('status').textContent = `${answer.status} · ${MEANING[answer.status] ?? answer.statusText}`;
    at('status').dataset.good = answer.ok;
    let pretty = text;
    try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* Shown as it came. */ }
    at('answer').textContent = pretty;
    show('answer', true);
  } catch {
    at('status').textContent = 'The gateway does not answer.';
    at('status').dataset.good = false;
  } finally {
    at('call').disabled = false;
  }
}

let source;

function listen() {
  if (source) {
    source.close();
    source = undefined;
    at('listen').textContent = 'Start';
    return;
  }
  source = new EventSource('/events-demo');
  at('listen').textContent = 'Stop';
  at('ticks').textContent = 'waiting';
  source.addEventListener('tick', (event) => {
    at('ticks').textContent = `tick ${event.data} at ${new Date().toLocaleTimeString()}`;
    at('ticks').dataset.good = true;
  });
  source.addEventListener('error', () => {
    at('ticks').textContent = known ? 'interrupted' : 'only for who is signed in';
    at('ticks').dataset.good = false;
    // A refused stream stays closed; a broken one is opened again by the browser.
    if (source?.readyState === EventSource.CLOSED) listen();
  });
}

let watching;

/** Hears of the end of the session as it happens, in every open tab. */
function watch() {
  if (watching) return;
  watching = new EventSource('/bff/events');
  // What has ended may have begun anew in another tab: ask before saying so.
  watching.addEventListener('ended', () => { unwatch(); look(true); });
  watching.addEventListener('error', () => { if (watching?.readyState === EventSource.CLOSED) unwatch(); });
}

function unwatch() {
  watching?.close();
  watching = undefined;
}

let socket;

function line(text, good) {
  at('line').textContent = text;
  at('line').dataset.good = good;
  for (const id of ['message', 'send']) at(id).disabled = !good;
}

function chat() {
  if (socket) return;
  socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/chat`);
  socket.addEventListener('open', () => line('connected', true));
  socket.addEventListener('message', ({ data }) => {
    at('talk').textContent = [...at('talk').textContent.split('\n'), data].filter(Boolean).slice(-6).join('\n');
    show('talk', true);
  });
  socket.addEventListener('close', ({ code }) => {
    socket = undefined;
    line(code === 4401 ? 'closed with 4401: the session has ended' : `closed with ${code}`, false);
    // Not at once: whatever closed it may do so again.
    setTimeout(() => look(true), code === 4401 ? 0 : 2000);
  });
}

at('say').addEventListener('submit', (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN || !at('message').value) return;
  socket.send(at('message').value);
  at('message').value = '';
});
at('call').addEventListener('click', call);
at('listen').addEventListener('click', listen);
// A page out of the browser's memory may show somebody who has left.
addEventListener('pageshow', (event) => { if (event.persisted) look(true); });
document.addEventListener('visibilitychange', () => { if (!document.hidden) look(true); });
setInterval(() => { if (!document.hidden) look(true); }, 4000);
look(false);
