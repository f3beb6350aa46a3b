// A chat with a news ticker, made of two packages of the npm registry: socket.io for WebSockets, better-sse for events.
//
// I own: a page, and the few lines that socket.io and better-sse need to be an app. I may call: both packages. I never
// know of Keycard: who is there I read from the header `Remote-User`, as any app behind a proxy does.
//
// node chat.mjs PORT     listens on loopback, below /chat/

import { createServer } from 'node:http';
import { createChannel, createSession } from 'better-sse';
import { Server } from 'socket.io';

const page = `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Chat</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>body{font:1rem sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}dt{font-weight:bold}
li{overflow:hidden;white-space:nowrap;text-overflow:ellipsis}</style>
<h1>Chat</h1>
<dl><dt>You are<dd id="me"><dt>Connection<dd id="state">none<dt>Extensions<dd id="extensions"><dt>Closed with<dd id="closed">
<dt>Came back<dd id="again"><dt>Ticker<dd id="ticker">none</dl>
<form id="say"><label>Say <input name="text" autocomplete="off"></label> <button>Send</button></form>
<ol id="said"></ol><ol id="news"></ol>
<script src="/chat/socket.io/socket.io.js"></script>
<script>
const show = (id, text) => { document.getElementById(id).textContent = text; };
const add = (id, text) => document.getElementById(id).append(Object.assign(document.createElement('li'), { textContent: text }));
const socket = io({ path: '/chat/socket.io' });
const connection = () => {
  const { name, ws } = socket.io.engine.transport;
  show('state', 'connected by ' + name);
  show('extensions', ws?.extensions ?? '');
};
socket.on('connect', () => { connection(); socket.io.engine.on('upgrade', connection); });
socket.on('you', (name) => show('me', name));
socket.on('said', ({ who, text }) => add('said', who + ': ' + text));
socket.on('disconnect', (why, details) => { show('state', why); show('closed', details?.context?.code ?? details?.description); });
socket.on('connect_error', (error) => show('again', error.message + ' ' + (error.context?.status ?? error.description ?? '')));
document.forms.say.onsubmit = (event) => {
  event.preventDefault();
  socket.emit('say', event.target.text.value);
  event.target.reset();
};
const ticker = new EventSource('/chat/ticker');
ticker.onopen = () => show('ticker', 'open');
ticker.onerror = () => show('ticker', ticker.readyState === EventSource.CLOSED ? 'closed' : 'lost');
// The next item is only printed once this one was read: whoever holds one back stops the ticker.
ticker.addEventListener('news', ({ data }) => { add('news', JSON.parse(data)); socket.emit('read', JSON.parse(data)); });
</script></html>`;

const news = createChannel();
const server = createServer(async (req, res) => {
  switch (req.url) {
    case '/chat/': return res.setHeader('content-type', 'text/html; charset=utf-8').end(page);
    case '/chat/ticker': {
      const session = await createSession(req, res);
      session.state.who = req.headers['remote-user'];
      news.register(session);
      return session.push(`${session.state.who} reads item 1`, 'news');
    }
    default: return res.writeHead(404).end();
  }
});

const chat = new Server(server, { path: '/chat/socket.io', perMessageDeflate: { threshold: 0 } });
chat.on('connection', (socket) => {
  const who = socket.handshake.headers['remote-user'] ?? 'nobody';
  socket.emit('you', who);
  socket.on('say', (text) => chat.emit('said', { who, text: String(text) }));
  socket.on('read', (item) => {
    const [, number] = /item (\d)$/.exec(item) ?? [];
    const readers = news.activeSessions.filter((session) => session.state.who === who);
    if (number && number < 9) readers.forEach((reader) => reader.push(`${who} reads item ${Number(number) + 1}`, 'news'));
  });
  socket.on('disconnect', (why, details) => console.log(`${who} left: ${why} ${details?.code ?? details?.description ?? ''}`));
});
server.listen(Number(process.argv[2]), '127.0.0.1');
