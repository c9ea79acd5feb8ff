// A login by phone number: takes the token that a checked code was answered with, verifies it, and
// says whose phone it is.
//
//     npm ci
//     npm start
//     curl -s http://127.0.0.1:8002/login -H 'Content-Type: application/json' -d '{"token":"eyJ…"}'
//
// JWKS_URL is where the public keys are, PURPOSE what the tokens have to be for, AUDIENCE the name
// of your key where sms-verify has API_KEYS, LISTEN the address to serve at (port 0: any).

import express from 'express';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

const {
  JWKS_URL = 'http://127.0.0.1:8080/.well-known/jwks.json',
  LISTEN = '127.0.0.1:8002',
  PURPOSE = 'login',
  AUDIENCE,
} = process.env;

// Keys are kept for five minutes: that long, one that was withdrawn is still trusted. A kid that is
// not among them has them fetched again at once, so that a rotation needs no restart. Anybody can
// make kids up, so there is at most one fetch a second; the price is that a token whose key was
// published within this second may be refused.
const keys = createRemoteJWKSet(new URL(JWKS_URL), {
  cacheMaxAge: 300_000,
  cooldownDuration: 1000,
  timeoutDuration: 5000,
});

class KeysUnavailable extends Error {}

async function keyOf(header, token) {
  // Without a kid, jose would take any key that fits.
  if (typeof header.kid !== 'string') throw new errors.JWKSNoMatchingKey();
  try {
    return await keys(header, token);
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) throw error;
    throw new KeysUnavailable('', { cause: error });
  }
}

const EXPECTED = 'send {"token": "…"} as application/json';
const REASONS = {
  ERR_JWT_EXPIRED: 'the token has expired',
  ERR_JOSE_ALG_NOT_ALLOWED: "the token's algorithm is not EdDSA",
  ERR_JWT_CLAIM_VALIDATION_FAILED: "the token's claims are wrong",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "the token's signature is wrong",
  ERR_JWKS_NO_MATCHING_KEY: "the token's key is unknown",
};

// Used tokens are remembered in this process. Of several processes each would accept a token once:
// let them share a Redis (SET used:JTI 1 NX EX SECONDS).
const used = new Set();

function firstUse({ jti, exp }) {
  if (used.has(jti)) return false;
  used.add(jti);
  setTimeout(() => used.delete(jti), (exp + 1) * 1000 - Date.now()).unref();
  return true;
}

const app = express();
app.disable('x-powered-by');
app.use(express.json());

app.post('/login', async (request, response) => {
  const refuse = (status, error) => response.status(status).json({ error });
  const token = request.body?.token;
  if (typeof token !== 'string') return refuse(400, EXPECTED);
  let claims;
  try {
    // The algorithm is ours to name, never the token's.
    const options = {
      algorithms: ['EdDSA'],
      issuer: 'sms-verify',
      requiredClaims: ['sub', 'jti', 'exp'],
    };
    ({ payload: claims } = await jwtVerify(token, keyOf, options));
  } catch (error) {
    if (error instanceof KeysUnavailable) return refuse(503, 'the keys cannot be fetched');
    if (!(error instanceof errors.JOSEError)) throw error;
    return refuse(401, REASONS[error.code] ?? 'this is no token');
  }
  if (claims.aud !== AUDIENCE) return refuse(401, 'the token was given to somebody else');
  if (claims.purpose !== PURPOSE) return refuse(401, 'the token is for another purpose');
  if (!firstUse(claims)) return refuse(401, 'the token was used before');
  // Here your own code begins: find or make the account of this number, and start its session.
  response.json({ phone: claims.sub });
});

// Bodies that express.json() could not read, and all other errors.
app.use((error, request, response, next) => {
  const status = error.status ?? 500;
  if (status === 500) console.error(error);
  response.status(status).json({ error: status === 500 ? 'this server is at fault' : EXPECTED });
});

const [host, port] = LISTEN.split(':');
const server = app.listen(Number(port), host, (error) => {
  if (error) throw error;
  console.log(`listening on http://${host}:${server.address().port}`);
});
