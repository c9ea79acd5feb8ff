#!/usr/bin/env bash
# Packages: libphonenumber-js 1.13.16 (npm) against phonenumbers 9.0.43 (PyPI) and
# google-libphonenumber 3.2.47 (npm).
#
# Behaviour: a full-width plus, which Chinese and Japanese keyboards type, begins an international
# number in Google's library and its Python port. libphonenumber-js lets it through its first check
# and then loses it: the digits are read as a national number of the default country, country code
# and all. Full-width digits it does read.
#
# Seen (text, default country: phonenumbers and google-libphonenumber / libphonenumber-js):
#   ＋81 90 1234 5678, CN:   +819012345678  / +86819012345678, not valid
#   ＋44 7700 900123, US:    +447700900123  / +1447700900123, not valid
#   ＋49 1512 3456789, DE:   +4915123456789 / +494915123456789, called valid (German lengths vary)
#   ＋86 138 0013 8000, CN:  the same in all, since a code doubled in the own country is taken off
#
# Why it matters: a test with the own country's numbers passes; a foreign number fails, and a German
# one becomes another valid number, so that page and server disagree about who is verified. Replace
# U+FF0B by + before.
#
# Source: libphonenumber-js/source/constants.js (PLUS_CHARS has both signs) against
# source/helpers/extractCountryCallingCode.js, which asks for the ASCII one;
# phonenumbers/phonenumberutil.py.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" phonenumbers==9.0.43
npm install --silent --no-audit --no-fund --prefix "$dir" \
  libphonenumber-js@1.13.16 google-libphonenumber@3.2.47 >/dev/null

cat > "$dir/plus.py" <<'PY'
import phonenumbers as p
for text, region in (
    ("81 90 1234 5678", "CN"), ("44 7700 900123", "US"), ("49 1512 3456789", "DE"),
    ("86 138 0013 8000", "CN"),
):
    print(region, p.format_number(p.parse("\uff0b" + text, region), p.PhoneNumberFormat.E164))
PY
cat > "$dir/plus.cjs" <<'JS'
const { parsePhoneNumber } = require('libphonenumber-js/max')
const { PhoneNumberUtil, PhoneNumberFormat } = require('google-libphonenumber')
const google = PhoneNumberUtil.getInstance()
const typed = [
  ['81 90 1234 5678', 'CN'], ['44 7700 900123', 'US'], ['49 1512 3456789', 'DE'],
  ['86 138 0013 8000', 'CN'],
]
for (const [text, region] of typed) {
  const number = '\uff0b' + text
  if (process.argv[2] === 'google') {
    console.log(region, google.format(google.parse(number, region), PhoneNumberFormat.E164))
  } else {
    const parsed = parsePhoneNumber(number, region)
    console.log(region, parsed.number, parsed.isValid())
  }
}
JS
python=$(PYTHONPATH="$dir/py" python3 -X utf8 "$dir/plus.py")
google=$(node "$dir/plus.cjs" google)
other=$(node "$dir/plus.cjs" other)
printf 'phonenumbers:\n%s\ngoogle-libphonenumber:\n%s\n' "$python" "$google"
printf 'libphonenumber-js, and whether it says valid:\n%s\n' "$other"
meant='CN +819012345678
US +447700900123
DE +4915123456789
CN +8613800138000'
[ "$python" = "$meant" ] && [ "$google" = "$meant" ] || { echo 'CHANGED: Google'; exit 1; }
[ "$other" = 'CN +86819012345678 false
US +1447700900123 false
DE +494915123456789 true
CN +8613800138000 true' ] || { echo 'CHANGED: libphonenumber-js'; exit 1; }
echo 'as described'
