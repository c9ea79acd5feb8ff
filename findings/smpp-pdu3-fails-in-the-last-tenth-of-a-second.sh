#!/usr/bin/env bash
# Package: smpp.pdu3 0.6 (PyPI).
#
# Behaviour: an absolute time (validity_period, schedule_delivery_time) can be encoded in nine
# tenths of each second only. Where a datetime has more than 900,000 microseconds, the encoder
# raises "tenths of second must be one digit": it divides without rounding down, compares 9.0000…
# with 9, and prints only then as a whole number.
#
# Seen:
#   12:00:00.000000 -> 300102120000000+     12:00:00.899999 -> 300102120000800+
#   12:00:00.900000 -> 300102120000900+     12:00:00.900001 -> ValueError
#   of 1000 times spread over a second, 99 fail
#
# Why it matters: a code's SMS gets "until now + 5 minutes" as validity_period. Every tenth message
# cannot be built, at random, and a retry a moment later works: it looks like a flaky gateway. Set
# microsecond=0 first.
#
# Source: unparse_absolute_time and unparse_t in smpp/pdu/smpp_time.py.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" smpp.pdu3==0.6

cat > "$dir/tenth.py" <<'PY'
from datetime import datetime
from smpp.pdu import smpp_time

def encoded(microsecond):
    try:
        return smpp_time.unparse(datetime(2030, 1, 2, 12, 0, 0, microsecond)).decode()
    except ValueError as error:
        return f"ValueError: {error}"

for microsecond in (0, 899_999, 900_000, 900_001, 999_999):
    print(microsecond, encoded(microsecond))
failed = [ms for ms in range(1000) if encoded(ms * 1000).startswith("ValueError")]
print(len(failed), "of 1000")
PY
saw=$(PYTHONPATH="$dir/py" python3 "$dir/tenth.py")
printf 'microseconds and the time as SMPP writes it:\n%s\n' "$saw"
[ "$saw" = '0 300102120000000+
899999 300102120000800+
900000 300102120000900+
900001 ValueError: tenths of second must be one digit
999999 ValueError: tenths of second must be one digit
99 of 1000' ] || { echo 'CHANGED'; exit 1; }
echo 'as described'
