#!/usr/bin/env bash
# Packages: node-pdu 2.1.1 (npm); python-messaging 0.5.13 (PyPI) as a second opinion.
#
# Behaviour: the time stamp of a received SMS has its zone in quarters of an hour. node-pdu decodes
# it and offers it as an ISO date, in which a zone that is no whole hour appears as a decimal number
# of hours: "+5.5:00". Neither Date nor another parser of ISO 8601 takes that. The number inside is
# right, and whole hours are right, so that tests in most countries pass.
#
# Seen (2026-11-27 14:13:20 local time):
#   +08:00  2026-11-27T14:13:20+08:00   a date
#   +05:30  2026-11-27T14:13:20+5.5:00  Invalid Date      (India, Sri Lanka)
#   +05:45  2026-11-27T14:13:20+5.75:00 Invalid Date      (Nepal)
#   -03:30  2026-11-27T14:13:20-3.5:00  Invalid Date      (Newfoundland)
#
# Why it matters: a modem in India receives every SMS with such a stamp: replies (STOP) and delivery
# reports get a time that a database refuses or that becomes null. Make the date from .time, which
# is the instant in seconds, instead.
#
# Source: getIsoString (and getDateWithOffset) in node-pdu/dist/cjs/index.cjs; 3GPP TS 23.040,
# 9.2.3.11.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" python-messaging==0.5.13
npm install --silent --no-audit --no-fund --prefix "$dir" node-pdu@2.1.1 >/dev/null

# A message with the text "Code", as a modem reports it; the zone's octet is filled in.
cat > "$dir/stamp.cjs" <<'JS'
const { parse } = require('node-pdu')
for (const zone of ['23', '22', '32', '49']) {
  const pdu = '07912120550521F3040B912120550521F30000621172413102' + zone + '04C337B90C'
  const stamp = parse(pdu).serviceCenterTimeStamp
  const iso = stamp.getIsoString()
  const valid = isNaN(new Date(iso)) ? 'Invalid Date' : 'a date'
  console.log(iso, valid, new Date(stamp.time * 1000).toISOString())
}
JS
cat > "$dir/stamp.py" <<'PY'
from messaging.sms import SmsDeliver
for zone in ("23", "22", "32", "49"):
    pdu = "07912120550521F3040B912120550521F30000621172413102" + zone + "04C337B90C"
    data = SmsDeliver(pdu).data
    print(data["text"], data["date"].isoformat())
PY
saw=$(node "$dir/stamp.cjs")
printf 'node-pdu, the ISO date, what Date makes of it, the instant:\n%s\n' "$saw"
opinion=$(PYTHONPATH="$dir/py" python3 "$dir/stamp.py")
printf 'python-messaging, in UTC:\n%s\n' "$opinion"
[ "$saw" = '2026-11-27T14:13:20+08:00 a date 2026-11-27T06:13:20.000Z
2026-11-27T14:13:20+5.5:00 Invalid Date 2026-11-27T08:43:20.000Z
2026-11-27T14:13:20+5.75:00 Invalid Date 2026-11-27T08:28:20.000Z
2026-11-27T14:13:20-3.5:00 Invalid Date 2026-11-27T17:43:20.000Z' ] ||
  { echo 'CHANGED: node-pdu'; exit 1; }
[ "$opinion" = 'Code 2026-11-27T06:13:20
Code 2026-11-27T08:43:20
Code 2026-11-27T08:28:20
Code 2026-11-27T17:43:20' ] || { echo 'CHANGED: python-messaging'; exit 1; }
echo 'as described'
