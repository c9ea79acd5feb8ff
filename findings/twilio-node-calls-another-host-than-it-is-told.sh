#!/usr/bin/env bash
# Packages: twilio 6.3.1 (npm), against twilio 9.13.0 (PyPI).
#
# Behaviour: both clients let the base URL of a product be set, as for a proxy or a server that
# speaks the same API. The one for Node takes the host apart and puts it together again as if it
# were Twilio's PRODUCT.EDGE.REGION.twilio.com, even where neither edge nor region is set: a host of
# two labels is written twice, and of six or more labels some are left out. No error is raised: the
# request goes to the other host, with user and password. The one for Python calls the host it was
# told.
#
# Seen (base URL: Node / Python):
#   https://shop.example:           shop.example.shop.example / shop.example
#   https://verify.shop.example:    verify.shop.example / the same
#   https://a.b.c.d.example:        a.b.c.d.example / the same
#   https://a.b.c.d.e.example:      a.b.c.e.example / a.b.c.d.e.example
#   https://a.b.c.d.e.f.example:    a.b.c.f.example / a.b.c.d.e.f.example
#
# Guessed before: that a set base URL is called as it is, in both.
#
# Why it matters: where a wildcard in DNS answers for the other host, it is given a credential that
# is valid at the right one; elsewhere every call fails with a host that stands in no configuration.
# Serve Node's clients at a host of three to five labels.
#
# Source: lib/base/BaseTwilio.js (getHostname) of twilio; twilio/base/client_base.py (get_hostname)
# of the one for Python, which does the same only with an edge or a region.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" twilio==9.13.0
npm install --silent --no-audit --no-fund --prefix "$dir" twilio@6.3.1 >/dev/null

hosts='https://shop.example https://verify.shop.example https://a.b.c.d.example
  https://a.b.c.d.e.example https://a.b.c.d.e.f.example'
# The clients make their requests with an HTTP client that is given to them: nothing is sent.
cat > "$dir/hosts.cjs" <<'JS'
const twilio = require('twilio')
const fetch = async (baseUrl) => {
  let called
  const httpClient = {
    request: async ({ uri }) => {
      called = new URL(uri).host
      return { statusCode: 200, body: {} }
    },
  }
  const client = twilio(`AC${'0'.repeat(32)}`, 'token', { httpClient })
  client.verify.baseUrl = baseUrl
  await client.verify.v2.services(`VA${'0'.repeat(32)}`).fetch()
  return called
}
;(async () => { for (const host of process.argv.slice(2)) console.log(await fetch(host)) })()
JS
cat > "$dir/hosts.py" <<'PY'
import sys
from urllib.parse import urlsplit

from twilio.http.http_client import HttpClient
from twilio.http.response import Response
from twilio.rest import Client


class Recorder(HttpClient):
    def __init__(self):
        self.is_async = False

    def request(self, method, url, **options):
        print(urlsplit(url).netloc)
        return Response(200, "{}")


for host in sys.argv[1:]:
    client = Client("AC" + "0" * 32, "token", http_client=Recorder())
    client.verify.base_url = host
    client.verify.v2.services("VA" + "0" * 32).fetch()
PY
# shellcheck disable=SC2086  # a list
{
  node=$(node "$dir/hosts.cjs" $hosts)
  python=$(PYTHONPATH="$dir/py" python3 "$dir/hosts.py" $hosts)
}
printf 'Node:\n%s\nPython:\n%s\n' "$node" "$python"
[ "$node" = 'shop.example.shop.example
verify.shop.example
a.b.c.d.example
a.b.c.e.example
a.b.c.f.example' ] || { echo 'CHANGED: npm twilio'; exit 1; }
[ "$python" = 'shop.example
verify.shop.example
a.b.c.d.example
a.b.c.d.e.example
a.b.c.d.e.f.example' ] || { echo 'CHANGED: PyPI twilio'; exit 1; }
echo 'as described'
