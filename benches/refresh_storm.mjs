// A storm of refreshes: everybody's token is over, and everybody asks for everything at once, everywhere.
//
// Five gateways over one Redis, 200 sessions whose access tokens have expired, 50 requests at the same time for each, spread
// over the gateways, to a route that relays the token. The provider rotates refresh tokens and ends the grant of whoever
// uses one twice. Wanted: exactly one token call for each session, no failed request, no ended session.
//
// node refresh_storm.mjs [SESSIONS] [REQUESTS]

import { ask, figure, nap, open, quantile, signIn } from './house.mjs';

const [sessions, requests] = [Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 50)];
// Long enough for all to sign in on a slow machine would be too long to wait for: they expire one after the other.
const LIFETIME = 3;

const house = await open(5, { firstLifetime: LIFETIME });
try {
  const cookies = [];
  for (let at = 0; at < sessions; at += 4) {
    const some = Array.from({ length: Math.min(4, sessions - at) }, (_, more) => at + more);
    cookies.push(...await Promise.all(some.map((person) => signIn(house, `person-${person}`, house.gateways[person % 5]))));
  }
  // What was issued last is over by then, and no sign-in is so fresh that an old token would count as an error of the
  // provider's.
  await nap(22_000 + LIFETIME * 1000);
  const counts = async () => (await fetch(`http://127.0.0.1:${house.idpPort}/counts`)).json();
  const before = await counts();
  const began = performance.now();
  const answers = await Promise.all(cookies.flatMap((cookie) => Array.from({ length: requests }, async (_, at) => {
    const since = performance.now();
    try {
      const { status, text } = await ask(house.gateways[at % 5], house.host, '/api/x', { cookie, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' });
      return { status, text, took: performance.now() - since };
    } catch (error) {
      return { status: error.code, text: '', took: performance.now() - since };
    }
  })));
  const took = (performance.now() - began) / 1000;
  const after = await counts();
  const failed = answers.filter(({ status }) => status !== 200);
  const calls = after.refreshes - before.refreshes;
  const refused = after.refused - before.refused;
  const asked = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' };
  const alive = await Promise.all(cookies.map(async (cookie, at) => (await ask(house.gateways[at % 5], house.host, '/bff/user', { cookie, ...asked })).status === 200));
  const ended = alive.filter((is) => !is).length;
  const statuses = [...new Set(failed.map(({ status }) => status))].map((one) => `${failed.filter(({ status }) => status === one).length} × ${one}`);
  console.log(`${answers.length} requests in ${took.toFixed(1)} s, half within ${quantile(answers.map((a) => a.took), 0.5).toFixed(0)} ms, all within ${quantile(answers.map((a) => a.took), 1).toFixed(0)} ms`);
  if (failed.length) console.log(`failed: ${statuses.join(', ')}; for example ${failed[0].text.slice(0, 400)}`);
  if (refused) console.log(house.gateways.map((gateway) => gateway.child.tail(5)).join('\n'));
  figure(`refresh storm: token calls for ${sessions} sessions`, calls, `exactly ${sessions}`, calls === sessions && refused === 0);
  figure(`  failed of ${answers.length} requests`, failed.length, '0', failed.length === 0);
  figure('  ended sessions', ended, '0', ended === 0);
  figure('  tokens that the app saw', house.app.tokens.size, `${sessions}`, house.app.tokens.size === sessions);
} finally {
  await house.close();
}
process.exit(0);
