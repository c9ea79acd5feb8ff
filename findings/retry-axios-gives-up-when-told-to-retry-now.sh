#!/usr/bin/env bash
# Packages: retry-axios 4.0.3 with axios 1.21.1 (npm), against axios-retry 4.5.0 (npm).
#
# Behaviour: a 429 or 503 without Retry-After is tried again, and so is one with Retry-After: 1.
# With Retry-After: 0 ("at once"), or with a date that has passed while the answer was on its way,
# retry-axios does not retry at all: it takes a wait that is not above zero for one that it must not
# wait, as it does with one beyond maxRetryAfter.
#
# Seen (requests that the server received; retry-axios / axios-retry):
#   no Retry-After: 2 / 2     1: 2 / 2     0: 1 / 2
#   a date one second ago: 1 / 2     a date in two seconds: 2 / 2
#
# Why it matters: a date has whole seconds and another machine's clock. A server that is a second
# behind, or that asks for the shortest wait, makes each failure final, and the friendlier header is
# worse than none. Set checkRetryAfter to false, or let servers send 1 at least, in seconds.
#
# Source: parseRetryAfter and onError in retry-axios/build/src/index.js; RFC 9110, 10.2.3
# (delay-seconds is a non-negative integer).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --silent --no-audit --no-fund --prefix "$dir" \
  retry-axios@4.0.3 axios@1.21.1 axios-retry@4.5.0 >/dev/null

cat > "$dir/again.mjs" <<'JS'
import http from 'node:http'
import axios from 'axios'
import axiosRetry from 'axios-retry'
import * as rax from 'retry-axios'

let requests, header
const server = http.createServer((request, response) => {
  if (++requests > 1) return response.end('ok')
  if (header !== undefined) response.setHeader('Retry-After', header)
  response.writeHead(503).end()
})
await new Promise(ready => server.listen(0, '127.0.0.1', ready))
const url = `http://127.0.0.1:${server.address().port}/`
const date = seconds => new Date(Date.now() + seconds * 1000).toUTCString()
const clients = {
  'retry-axios': () => { const client = axios.create(); rax.attach(client); return client },
  'axios-retry': () => { const client = axios.create(); axiosRetry(client); return client },
}
for (const [name, client] of Object.entries(clients)) {
  const counts = []
  for (const value of [() => undefined, () => '1', () => '0', () => date(-1), () => date(2)]) {
    requests = 0
    header = value()
    await client().get(url).catch(() => {})
    counts.push(requests)
  }
  console.log(name, ...counts)
}
process.exit()
JS
saw=$(node "$dir/again.mjs")
echo 'requests without Retry-After, with 1, 0, a date one second ago, a date in two seconds:'
echo "$saw"
[ "$saw" = 'retry-axios 2 2 1 1 2
axios-retry 2 2 2 2 2' ] || { echo 'CHANGED'; exit 1; }
echo 'as described'
