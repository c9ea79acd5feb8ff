#!/usr/bin/env bash
# Packages: serverless-http 4.0.0, @codegenie/serverless-express 4.17.1 and @h4ad/serverless-adapter 4.4.0 with
# express 5.3.0 (all npm), apig-wsgi 2.20.0 (PyPI).
#
# Behaviour: a load balancer whose target group has no multi-value headers (the default) takes one Set-Cookie from a
# function. One expects the first or the last of two to survive. serverless-http sends neither: one cookie goes through,
# and setting a second one removes both. The others differ in each possible way.
#
# Seen (an app sets session, then csrf):
#   serverless-http: no Set-Cookie             @codegenie/serverless-express: session alone
#   apig-wsgi: csrf alone                      @h4ad/serverless-adapter: "session=1; …,csrf=2; …", which is one cookie
#   serverless-http, the app sets session alone: session
#
# Why it matters: a login works until somebody adds a second cookie, and then nobody is logged in, behind the load
# balancer alone: behind an HTTP API or on one's own machine both arrive. Turn multi-value headers on in the target group
# (lambda.multi_value_headers.enabled).
#
# Source: sanitize-headers.js and format-response.js in serverless-http/lib/provider/aws; dougmoscrop/serverless-http, issue
# 276, open since 2023; "Lambda functions as targets for Application Load Balancers" (Elastic Load Balancing).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile --target "$dir/py" apig-wsgi==2.20.0
npm install --silent --no-audit --no-fund --prefix "$dir" serverless-http@4.0.0 @codegenie/serverless-express@4.17.1 @h4ad/serverless-adapter@4.4.0 express@5.3.0 >/dev/null

cat > "$dir/event.json" <<'JSON'
{"requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1"}},
 "httpMethod": "GET", "path": "/", "queryStringParameters": {}, "body": "", "isBase64Encoded": false,
 "headers": {"host": "shop.example", "x-forwarded-for": "192.0.2.7", "x-forwarded-port": "443", "x-forwarded-proto": "https"}}
JSON
cat > "$dir/cookies.cjs" <<'JS'
const express = require('express')
const serverlessHttp = require('serverless-http')
const codegenie = require('@codegenie/serverless-express')
const { ServerlessAdapter } = require('@h4ad/serverless-adapter')
const { AlbAdapter } = require('@h4ad/serverless-adapter/adapters/aws')
const { ExpressFramework } = require('@h4ad/serverless-adapter/frameworks/express')
const { DefaultHandler } = require('@h4ad/serverless-adapter/handlers/default')
const { PromiseResolver } = require('@h4ad/serverless-adapter/resolvers/promise')

const app = names => express().get('/', (request, response) => {
  names.forEach((name, index) => response.cookie(name, String(index + 1)))
  response.json({})
})
const adapters = {
  'serverless-http': app => serverlessHttp(app),
  '@codegenie/serverless-express': app => codegenie({ app }),
  '@h4ad/serverless-adapter': app => ServerlessAdapter.new(app).setFramework(new ExpressFramework())
    .setHandler(new DefaultHandler()).setResolver(new PromiseResolver()).addAdapter(new AlbAdapter()).build(),
}
const event = () => JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'))
const main = async () => {
  for (const [name, adapter] of Object.entries(adapters)) {
    for (const names of [['session'], ['session', 'csrf']]) {
      const { headers, multiValueHeaders } = await adapter(app(names))(event(), {})
      console.log(name, names.length, headers['set-cookie'] ?? 'none', multiValueHeaders ? 'and more' : '')
    }
  }
}
main()
JS
cat > "$dir/cookies.py" <<'PY'
import json, sys
from apig_wsgi import make_lambda_handler

def app(names):
    def wsgi(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json"), *(("Set-Cookie", f"{name}; Path=/") for name in names)])
        return [b"{}"]
    return wsgi

for names in (["session=1"], ["session=1", "csrf=2"]):
    print("apig-wsgi", len(names), make_lambda_handler(app(names))(json.load(open(sys.argv[1])), None)["headers"].get("Set-Cookie"))
PY
saw=$(node "$dir/cookies.cjs" "$dir/event.json" | sed 's/ *$//'; PYTHONPATH="$dir/py" python3 "$dir/cookies.py" "$dir/event.json")
printf 'cookies that the app sets, and Set-Cookie as the load balancer gets it:\n%s\n' "$saw"
[ "$saw" = 'serverless-http 1 session=1; Path=/
serverless-http 2 none
@codegenie/serverless-express 1 session=1; Path=/
@codegenie/serverless-express 2 session=1; Path=/
@h4ad/serverless-adapter 1 session=1; Path=/
@h4ad/serverless-adapter 2 session=1; Path=/,csrf=2; Path=/
apig-wsgi 1 session=1; Path=/
apig-wsgi 2 csrf=2; Path=/' ] || { echo 'CHANGED'; exit 1; }
echo 'as described'
