#!/usr/bin/env bash
# Packages: @opentelemetry/propagator-aws-xray 3.0.0 with @opentelemetry/api 1.9.0 (npm),
# opentelemetry-propagator-aws-xray 1.0.2 (PyPI), against aws-xray-sdk-core 3.12.0 (npm).
#
# Behaviour: in X-Amzn-Trace-Id, Sampled=? says "you decide", and so does a header without Sampled.
# OpenTelemetry's propagators do not start with an undecided parent then: at Sampled=? they drop
# trace and parent, and the request gets another trace id. Without Sampled, JavaScript's drops them
# too, while Python's keeps them as "not sampled", so that a parent-based sampler records nothing.
# AWS's own SDK keeps Root and Parent in each case.
#
# Seen (Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad and what follows; kept,
# with flags, or lost):
#   ;Sampled=1 -> kept 1, in both     ;Sampled=? -> lost, in both
#   nothing -> JavaScript lost, Python kept 0
#
# Why it matters: behind a client that leaves the decision to the service, its id and the service's
# never meet in X-Ray: two halves of a trace, and no warning. Let the caller decide, or read Root by
# oneself.
#
# Source: packages/propagator-aws-xray of open-telemetry/opentelemetry-js-contrib;
# opentelemetry/propagators/aws/ aws_xray_propagator.py; "Tracing header" in the AWS X-Ray developer
# guide; resolveSampling in aws-xray-sdk-core's mw_utils.js.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" opentelemetry-propagator-aws-xray==1.0.2
npm install --silent --no-audit --no-fund --prefix "$dir" \
  @opentelemetry/propagator-aws-xray@3.0.0 @opentelemetry/api@1.9.0 \
  aws-xray-sdk-core@3.12.0 >/dev/null

cat > "$dir/header.cjs" <<'JS'
const { AWSXRayPropagator } = require('@opentelemetry/propagator-aws-xray')
const { ROOT_CONTEXT, defaultTextMapGetter, trace } = require('@opentelemetry/api')
const { utils } = require('aws-xray-sdk-core')
for (const rest of [';Sampled=1', ';Sampled=0', ';Sampled=?', '']) {
  const header = 'Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad' + rest
  const context = new AWSXRayPropagator().extract(
    ROOT_CONTEXT, { 'x-amzn-trace-id': header }, defaultTextMapGetter)
  const parent = trace.getSpanContext(context)
  const { root, parent: id } = utils.processTraceData(header)
  const otel = parent ? `kept ${parent.traceFlags}` : 'lost'
  console.log(rest || 'nothing', otel, root && id ? 'kept' : 'lost')
}
JS
cat > "$dir/header.py" <<'PY'
from opentelemetry import trace
from opentelemetry.propagators.aws import AwsXRayPropagator
for rest in (";Sampled=1", ";Sampled=0", ";Sampled=?", ""):
    header = "Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad" + rest
    context = AwsXRayPropagator().extract({"X-Amzn-Trace-Id": header})
    parent = trace.get_current_span(context).get_span_context()
    print(rest or "nothing", f"kept {int(parent.trace_flags)}" if parent.is_valid else "lost")
PY
js=$(node "$dir/header.cjs" 2>/dev/null)
python=$(PYTHONPATH="$dir/py" python3 "$dir/header.py")
printf 'end of the header, OpenTelemetry, in JavaScript the X-Ray SDK too:\n%s\nPython:\n%s\n' \
  "$js" "$python"
[ "$js" = ';Sampled=1 kept 1 kept
;Sampled=0 kept 0 kept
;Sampled=? lost kept
nothing lost kept' ] || { echo 'CHANGED: JavaScript'; exit 1; }
[ "$python" = ';Sampled=1 kept 1
;Sampled=0 kept 0
;Sampled=? lost
nothing kept 0' ] || { echo 'CHANGED: Python'; exit 1; }
echo 'as described'
