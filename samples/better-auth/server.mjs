// A sign-up by phone number: Better Auth's plugin phoneNumber makes and checks the codes,
// sms-verify sends them, and is told which were brought back.
//
//     npm ci
//     SMS_VERIFY_KEY=key-of-the-shop npm start
//     curl -s http://127.0.0.1:8004/api/auth/phone-number/send-otp \
//         -H 'Content-Type: application/json' -d '{"phoneNumber":"+8613800138000"}'
//     curl -s http://127.0.0.1:8004/api/auth/phone-number/verify \
//         -H 'Content-Type: application/json' -d '{"phoneNumber":"+8613800138000","code":"012345"}'
//
// SMS_VERIFY_KEY is your key, whose hash is in API_KEYS of sms-verify; SMS_VERIFY_URL is where that
// is, and LISTEN the address to serve at (port 0: any). Users last as long as the process.

import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { APIError, getIP } from 'better-auth/api';
import { toNodeHandler } from 'better-auth/node';
import { phoneNumber } from 'better-auth/plugins';

const {
  SMS_VERIFY_URL = 'http://127.0.0.1:8080',
  SMS_VERIFY_KEY,
  LISTEN = '127.0.0.1:8004',
} = process.env;
if (!SMS_VERIFY_KEY) throw new Error('SMS_VERIFY_KEY is missing');

function post(path, body) {
  return fetch(`${SMS_VERIFY_URL}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${SMS_VERIFY_KEY}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  });
}

// Seconds for which Better Auth takes a code; the text of the SMS says so.
const EXPIRES_IN = 300;

// The newest message to each number, for as long as sms-verify takes its outcome. Of several
// processes each would know its own: let them share a table.
const messages = new Map();
const REMEMBERED = 600_000;

async function sendOTP({ phoneNumber: to, code }, context) {
  // The person's address, for the limits of addresses (behind a proxy: advanced.ipAddress).
  const ip = getIP(context.request, context.context.options) ?? undefined;
  const message = { to, code, purpose: 'login', outcome: 'reported', expires_in: EXPIRES_IN, ip };
  const answer = await post('/v1/messages', message);
  const said = await answer.json();
  // What is thrown is what the page gets; an error of another kind would be a 500. Better Auth has
  // stored the new code by now: the one that is on the phone has ended, though no SMS goes out.
  if (!answer.ok) {
    const status = { 422: 'UNPROCESSABLE_ENTITY', 429: 'TOO_MANY_REQUESTS' }[answer.status];
    throw new APIError(status ?? 'SERVICE_UNAVAILABLE', { message: status && said.detail });
  }
  messages.set(to, said.id);
  setTimeout(() => messages.get(to) === said.id && messages.delete(to), REMEMBERED).unref();
}

// Tells sms-verify that a code came back: its guard refuses blocks of numbers whose codes never do.
async function callbackOnVerification({ phoneNumber: to }) {
  const id = messages.get(to);
  if (!messages.delete(to)) return;
  try {
    await post(`/v1/messages/${id}/outcome`, { outcome: 'approved' });
  } catch (error) {
    // The person is verified all the same.
    console.error(`the outcome of ${id} was not reported: ${error.message}`);
  }
}

const auth = betterAuth({
  baseURL: `http://${LISTEN}`,
  // Of a sample that forgets everything: yours stays.
  secret: randomBytes(32).toString('hex'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  plugins: [
    phoneNumber({
      expiresIn: EXPIRES_IN,
      sendOTP,
      callbackOnVerification,
      phoneNumberValidator: (number) => /^\+[1-9]\d{5,14}$/.test(number),
      signUpOnVerification: { getTempEmail: (number) => `${number.slice(1)}@phone.invalid` },
      // Wrong codes: three end a code (allowedAttempts), but nothing counts them over several
      // codes, and each new one gives three guesses more. It is sms-verify that leaves a number
      // only some new codes in an hour. With a verifyOTP of your own, even the three are yours to
      // count.
    }),
  ],
});

const handle = toNodeHandler(auth);
const [host, port] = LISTEN.split(':');
const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
server.listen(Number(port), host, () => {
  console.log(`listening on http://${host}:${server.address().port}`);
});
