// The identity provider of the browser tests: the npm package oidc-provider, on loopback.
//
// I own: the client registration of Keycard, two people, the login page and the sign-out page.
// I may call: oidc-provider. I never know anything of Keycard's insides, and I never load anything from the network.
//
// node idp.mjs PORT GATEWAY_ORIGIN CLIENT_SECRET [ISSUER]
//
// Prints one line per request: method and path, never a query. With an ISSUER of its own, which is https, it stands behind
// something that speaks TLS for it, and works in a frame: its cookies go there.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const PEOPLE = {
  alice: { name: 'Alice Archer', email: 'alice@people.test', email_verified: true, groups: ['editor', 'staff'] },
  bob: { name: 'Bob Baker', email: 'bob@people.test', email_verified: true, groups: ['viewer'] },
};

const [port, gateway, secret, framed] = [Number(process.argv[2]), ...process.argv.slice(3)];
// By number, not by name: the gateway is `localhost`, cookies do not tell ports apart, and a provider on another
// host is also another site, as it is in real life.
const issuer = framed ?? `http://127.0.0.1:${port}`;
const reach = framed ? { httpOnly: true, sameSite: 'none', secure: true, partitioned: true } : { httpOnly: true, sameSite: 'lax' };

const escape = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, body) => `<!DOCTYPE html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>${title}</title>
<style>body{font:1rem sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem}input,button{font:inherit;width:100%;
box-sizing:border-box;padding:.5rem;margin:.3rem 0}</style><h1>${title}</h1>${body}</html>`;

const signingKey = () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'browser-tests' };
};

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'keycard',
    client_secret: secret,
    redirect_uris: [`${gateway}/bff/callback`],
    post_logout_redirect_uris: [`${gateway}/bff/signed-out`],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: 'RS256',
    backchannel_logout_uri: `${gateway}/bff/backchannel-logout`,
    backchannel_logout_session_required: true,
  }],
  jwks: { keys: [signingKey()] },
  cookies: { keys: ['the cookies of this provider are worth nothing'], long: reach, short: reach },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  claims: { profile: ['name', 'preferred_username', 'groups'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => PEOPLE[id] && {
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, ...PEOPLE[id] }),
  },
  // The login page is consent enough: whoever signs in grants what was asked for.
  loadExistingGrant: async ({ oidc }) => {
    const known = oidc.session.grantIdFor(oidc.client.clientId);
    if (known) return oidc.provider.Grant.find(known);
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid profile email offline_access');
    grant.addOIDCClaims(['name', 'preferred_username', 'groups', 'email', 'email_verified']);
    await grant.save();
    return grant;
  },
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: 300, IdToken: 300, Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 3600 },
  // Without the guard that keeps it away from loopback: there the gateway lives.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page('Sign out at the provider', `${form}
          <button type="submit" form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`);
      },
      postLogoutSuccessSource: (ctx) => { ctx.body = page('Signed out at the provider', ''); },
    },
  },
  renderError: (ctx, out) => {
    ctx.type = 'html';
    ctx.body = page('The provider refuses', `<pre id="refusal">${escape(JSON.stringify(out, null, 1))}</pre>`);
  },
});

provider.on('backchannel.error', (_, error) => console.log(`back-channel logout: ${error.message} ${error.cause ?? ''}`));
provider.proxy = Boolean(framed);
const protocol = provider.callback();
createServer(async (req, res) => {
  const path = new URL(req.url, issuer).pathname;
  res.on('finish', () => console.log(`${req.method} ${path} ${res.statusCode}`));
  try {
    await (path.startsWith('/interaction/') ? interaction(req, res) : protocol(req, res));
  } catch (error) {
    res.statusCode = 500;
    res.end(page('The provider failed', `<pre id="refusal">${escape(error?.message)}</pre>`));
  }
}).listen(port, '127.0.0.1');

async function interaction(req, res) {
  const { prompt } = await provider.interactionDetails(req, res);
  if (prompt.name !== 'login') throw new Error(`unexpected prompt: ${prompt.name}`);
  if (req.method === 'POST') {
    const person = new URLSearchParams(await text(req)).get('login');
    if (PEOPLE[person]) {
      return provider.interactionFinished(req, res, { login: { accountId: person } }, { mergeWithLastSubmission: false });
    }
  }
  res.setHeader('content-type', 'text/html; charset=utf-8');
  return res.end(page('Sign in at the provider', `<form id="sign-in" method="post">
    <label>Name <input name="login" required autofocus autocomplete="off"></label>
    <button type="submit">Sign in</button></form>`));
}
