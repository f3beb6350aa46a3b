// The identity provider of the benches: the npm package oidc-provider, on loopback, as strict as it can be.
//
// I own: one client, as many people as anybody names, and the count of what comes to the token endpoint. I may call:
// oidc-provider. Refresh tokens are rotated, and a second use of one ends the whole grant.
//
// node idp.mjs PORT GATEWAY_ORIGIN CLIENT_SECRET FIRST_LIFETIME
//
// The access token that a code brings lives for FIRST_LIFETIME seconds, those after it for an hour. `GET /counts` says
// how many codes and refresh tokens came, and how many of them were refused. `GET /logout-token?sub=` signs a logout token
// (OpenID Connect Back-Channel Logout section 2.4), for a bench to bring to a gateway at a moment of its choice.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import Provider from '../tests/browser/node_modules/oidc-provider/lib/index.js';

const [port, origin, secret, firstLifetime] = [Number(process.argv[2]), process.argv[3], process.argv[4], Number(process.argv[5])];
const issuer = `http://127.0.0.1:${port}`;
const counts = { codes: 0, refreshes: 0, refused: 0 };
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'bench' };

// All that was issued. The package's own store keeps a thousand entries and forgets the oldest: to a storm, somebody whose
// grant was forgotten looks like somebody whose token was used twice.
const issued = new Map();
class Issued {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) { issued.set(this.key(id), payload); }
  async find(id) { return issued.get(this.key(id)); }
  async findByUid(uid) {
    return [...issued].find(([key, payload]) => key.startsWith(`${this.model}:`) && payload.uid === uid)?.[1];
  }
  async consume(id) { issued.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { issued.delete(this.key(id)); }
  async revokeByGrantId(grantId) {
    for (const [key, payload] of issued) if (payload.grantId === grantId) issued.delete(key);
  }
}

const provider = new Provider(issuer, {
  adapter: Issued,
  clients: [{
    client_id: 'keycard',
    client_secret: secret,
    redirect_uris: [`${origin}/bff/callback`],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  jwks: { keys: [key] },
  cookies: { keys: ['the cookies of this provider are worth nothing'] },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  claims: { profile: ['name'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: id, email: `${id}@people.test`, email_verified: true }) }),
  loadExistingGrant: async ({ oidc }) => {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid profile email offline_access');
    await grant.save();
    return grant;
  },
  issueRefreshToken: () => true,
  rotateRefreshToken: () => true,
  ttl: {
    AccessToken: (ctx) => (ctx.oidc.params?.grant_type === 'refresh_token' ? 3600 : firstLifetime),
    IdToken: 3600, Interaction: 3600, Session: 86400, Grant: 86400, RefreshToken: 86400,
  },
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
});
provider.on('grant.success', ({ oidc }) => { counts[oidc.params.grant_type === 'refresh_token' ? 'refreshes' : 'codes'] += 1; });
provider.on('grant.error', () => { counts.refused += 1; });

function logoutToken(sub) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part({ alg: 'RS256', kid: 'bench', typ: 'logout+jwt' })}.${part({
    iss: issuer, aud: 'keycard', sub, iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 120, jti: randomUUID(),
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  })}`;
  return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
}

const protocol = provider.callback();
createServer(async (req, res) => {
  const url = new URL(req.url, issuer);
  if (url.pathname === '/counts') return res.end(JSON.stringify(counts));
  if (url.pathname === '/logout-token') return res.end(logoutToken(url.searchParams.get('sub')));
  if (url.pathname.startsWith('/interaction/')) {
    // Nobody looks at a page here: the person stands in a header.
    const login = { accountId: req.headers['x-person'] };
    return provider.interactionFinished(req, res, { login }, { mergeWithLastSubmission: false });
  }
  return protocol(req, res);
}).listen(port, '127.0.0.1');
