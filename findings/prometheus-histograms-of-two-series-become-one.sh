#!/usr/bin/env bash
# Packages: parse-prometheus-text-format 1.1.1 (npm); prometheus-client 0.26.0 (PyPI) as a second
# opinion.
#
# Behaviour: the parser keeps the labels of counters and gauges. Of a histogram or summary whose
# samples have a label besides le or quantile, it keeps one object for all series: without labels,
# sum and count, and each bucket has the value of the series that named it last. Where series have
# different bounds, one object mixes the numbers of both.
#
# Seen (two providers, "a" with bounds 0.5, 1, +Inf, then "b" with 1, 5, +Inf):
#   one metric, buckets {"0.5": a's 3, "1": b's 10, "5": b's 30, "+Inf": b's 40}, and no labels,
#   sum or count
#   a summary likewise: {"quantiles":{"0.5":"10"}}, b's
#   the same histogram without the label: buckets, sum and count
#   a counter: both series with their labels
#
# Why it matters: a check "is the gateway slow" built on it watches whichever provider is printed
# last, and nothing fails. The README's examples of buckets have no other labels, so that a first
# try looks right. Read histograms with another parser, or keep one series in each.
#
# Source: flattenMetrics in parse-prometheus-text-format/dist/parse-prometheus-text-format.cjs.js,
# called where every sample of a family has been collected; the README ("output aims to be
# compatible with that of prom2json").
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" prometheus-client==0.26.0
npm install --silent --no-audit --no-fund --prefix "$dir" \
  parse-prometheus-text-format@1.1.1 >/dev/null

cat > "$dir/metrics" <<'TEXT'
# TYPE latency histogram
latency_bucket{provider="a",le="0.5"} 3
latency_bucket{provider="a",le="1"} 4
latency_bucket{provider="a",le="+Inf"} 4
latency_sum{provider="a"} 2
latency_count{provider="a"} 4
latency_bucket{provider="b",le="1"} 10
latency_bucket{provider="b",le="5"} 30
latency_bucket{provider="b",le="+Inf"} 40
latency_sum{provider="b"} 90
latency_count{provider="b"} 40
# TYPE size summary
size{provider="a",quantile="0.5"} 1
size_sum{provider="a"} 4
size_count{provider="a"} 4
size{provider="b",quantile="0.5"} 10
size_sum{provider="b"} 400
size_count{provider="b"} 40
# TYPE plain histogram
plain_bucket{le="1"} 4
plain_bucket{le="+Inf"} 5
plain_sum 3
plain_count 5
# TYPE sent_total counter
sent_total{provider="a"} 4
sent_total{provider="b"} 40
TEXT
cat > "$dir/read.cjs" <<'JS'
const parse = require('parse-prometheus-text-format')
const text = require('fs').readFileSync(process.argv[2], 'utf8')
for (const { name, metrics } of parse(text)) console.log(name, JSON.stringify(metrics))
JS
cat > "$dir/read.py" <<'PY'
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    print(family.name, len({sample.labels.get("provider") for sample in family.samples}))
PY
saw=$(node "$dir/read.cjs" "$dir/metrics")
printf 'parse-prometheus-text-format:\n%s\n' "$saw"
opinion=$(PYTHONPATH="$dir/py" python3 "$dir/read.py" "$dir/metrics")
printf 'series that prometheus-client reads:\n%s\n' "$opinion"
[ "$saw" = 'latency [{"buckets":{"1":"10","5":"30","0.5":"3","+Inf":"40"}}]
size [{"quantiles":{"0.5":"10"}}]
plain [{"buckets":{"1":"4","+Inf":"5"},"count":"5","sum":"3"}]
sent_total [{"value":"4","labels":{"provider":"a"}},{"value":"40","labels":{"provider":"b"}}]' ] ||
  { echo 'CHANGED: parse-prometheus-text-format'; exit 1; }
[ "$opinion" = 'latency 2
size 2
plain 1
sent 2' ] || { echo 'CHANGED: prometheus-client'; exit 1; }
echo 'as described'
