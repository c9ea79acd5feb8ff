#!/usr/bin/env bash
# Packages: @h4ad/serverless-adapter 4.4.0 with express 5.3.0 (npm), against serverless-http 4.0.0
# (npm).
#
# Behaviour: a REST API's event (payload format 1.0) names headers as AWS and clients write them:
# Host, Content-Type, X-Forwarded-For. The adapter hands them to Express as they are. Node's own
# server always has lower-case names, and all of Express looks for those: every header is in
# req.headers, and req.get() finds none. A JSON body is not parsed, without an error. Events of HTTP
# APIs have lower-case names, so that the same code works there. lowercaseRequestHeaders, off by
# default, puts it right.
#
# Seen (POST of {"to":"+12025550123"}; what Express finds: to, Content-Type, Authorization):
#   @h4ad/serverless-adapter, REST names:               undefined, undefined, undefined
#   with lowercaseRequestHeaders, or lower-case names:  +12025550123, application/json, Bearer key
#   serverless-http, REST names:                        +12025550123, application/json, Bearer key
#
# Why it matters: a webhook or an API behind a REST API answers "field to is missing" and 401 to
# correct requests, and the log of the event shows that all was there. Set lowercaseRequestHeaders.
#
# Source: lowercaseRequestHeaders in @h4ad/serverless-adapter/lib/adapters/aws/index.d.ts; "Input
# format of a Lambda function for proxy integration in API Gateway" (AWS), whose sample has such
# names.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --silent --no-audit --no-fund --prefix "$dir" \
  @h4ad/serverless-adapter@4.4.0 express@5.3.0 serverless-http@4.0.0 >/dev/null

cat > "$dir/names.cjs" <<'JS'
const express = require('express')
const serverlessHttp = require('serverless-http')
const { ServerlessAdapter } = require('@h4ad/serverless-adapter')
const { ApiGatewayV1Adapter } = require('@h4ad/serverless-adapter/adapters/aws')
const { ExpressFramework } = require('@h4ad/serverless-adapter/frameworks/express')
const { DefaultHandler } = require('@h4ad/serverless-adapter/handlers/default')
const { PromiseResolver } = require('@h4ad/serverless-adapter/resolvers/promise')

const app = express().use(express.json()).post('/v1/messages', (request, response) => {
  const found = [request.body?.to, request.get('Content-Type'), request.get('Authorization')]
  response.send(found.map(String).join(', '))
})
const adapter = options => ServerlessAdapter.new(app)
  .setFramework(new ExpressFramework()).setHandler(new DefaultHandler())
  .setResolver(new PromiseResolver()).addAdapter(new ApiGatewayV1Adapter(options)).build()
const event = write => {
  const headers = [
    ['Host', 'api.example'], ['Content-Type', 'application/json'], ['Authorization', 'Bearer key'],
  ]
  return {
    resource: '/{proxy+}', path: '/v1/messages', httpMethod: 'POST',
    pathParameters: { proxy: 'v1/messages' },
    headers: Object.fromEntries(headers.map(([name, value]) => [write(name), value])),
    multiValueHeaders: Object.fromEntries(headers.map(([name, value]) => [write(name), [value]])),
    queryStringParameters: null, multiValueQueryStringParameters: null, stageVariables: null,
    requestContext: {
      resourcePath: '/{proxy+}', path: '/prod/v1/messages', httpMethod: 'POST', stage: 'prod',
      requestId: '1', identity: { sourceIp: '192.0.2.7' },
    },
    body: '{"to":"+12025550123"}', isBase64Encoded: false,
  }
}
const main = async () => {
  const asWritten = name => name
  const lower = name => name.toLowerCase()
  for (const [title, handler, write] of [
    ['adapter', adapter(), asWritten],
    ['adapter, option', adapter({ lowercaseRequestHeaders: true }), asWritten],
    ['adapter, lower-case names', adapter(), lower],
    ['serverless-http', serverlessHttp(app), asWritten],
  ]) console.log(`${title}: ${(await handler(event(write), {})).body}`)
}
main()
JS
saw=$(node "$dir/names.cjs")
printf 'what Express finds: to, Content-Type, Authorization\n%s\n' "$saw"
[ "$saw" = 'adapter: undefined, undefined, undefined
adapter, option: +12025550123, application/json, Bearer key
adapter, lower-case names: +12025550123, application/json, Bearer key
serverless-http: +12025550123, application/json, Bearer key' ] || { echo 'CHANGED'; exit 1; }
echo 'as described'
