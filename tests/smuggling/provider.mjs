// The smallest identity provider that Keycard takes: one person, who is always signed in.
//
// I own: one key, one code at a time. I may call: nothing of the house. I never check what a provider would have to.

import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';

const base64 = (value) => Buffer.from(value).toString('base64url');

/** Listens on a free port of 127.0.0.1. */
export async function openProvider(clientId) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('hex').slice(0, 8);
  const nonces = new Map();
  let issuer;
  const idToken = (nonce) => {
    const now = Math.floor(Date.now() / 1000);
    const head = base64(JSON.stringify({ alg: 'RS256', kid, typ: 'JWT' }));
    const claims = base64(JSON.stringify({
      iss: issuer, sub: 'alice', aud: clientId, iat: now, auth_time: now, exp: now + 300, nonce, name: 'Alice',
    }));
    return `${head}.${claims}.${sign('sha256', Buffer.from(`${head}.${claims}`), privateKey).toString('base64url')}`;
  };
  const answers = {
    '/.well-known/openid-configuration': () => ({
      issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`,
      response_types_supported: ['code'], subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'], code_challenge_methods_supported: ['S256'],
    }),
    '/keys': () => ({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] }),
    '/token': (form) => ({
      access_token: randomUUID(), token_type: 'Bearer', expires_in: 3600, id_token: idToken(nonces.get(form.get('code'))),
    }),
  };
  const server = createServer(async (req, res) => {
    const url = new URL(req.url, issuer);
    const parts = [];
    for await (const part of req) parts.push(part);
    if (url.pathname === '/authorize') {
      const [code, back] = [randomUUID(), new URL(url.searchParams.get('redirect_uri'))];
      nonces.set(code, url.searchParams.get('nonce'));
      back.searchParams.set('code', code);
      back.searchParams.set('state', url.searchParams.get('state'));
      return res.writeHead(302, { location: back.href }).end();
    }
    const answer = answers[url.pathname]?.(new URLSearchParams(Buffer.concat(parts).toString()));
    return res.writeHead(answer ? 200 : 404, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      .end(JSON.stringify(answer ?? {}));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${server.address().port}`;
  return { issuer, close: () => { server.closeAllConnections(); server.close(); } };
}
