#!/usr/bin/env bash
# Packages: libphonenumber-js 1.13.16 (npm) against phonenumbers 9.0.43 (PyPI).
#
# Behaviour: findPhoneNumbersInText of a list with commas or semicolons finds the first number, and
# takes the beginning of the second for an extension of it; the second is not found. What follows
# the comma need not be a number that is dialled: "24 hours" is the extension 24. Google's matcher,
# whose port it is, finds both numbers and no extension. A list whose second number begins with + or
# ( is right, as is one with a Chinese comma.
#
# Seen (text, default country: phonenumbers / libphonenumber-js):
#   202-555-0123, 202-555-0124, US:    both / +12025550123 with extension 202
#   13800138000,13900139000, CN:       both / +8613800138000 with extension 139001390
#   138 0013 8000; 139 0013 9000, CN:  both / +8613800138000 with extension 139
#   202-555-0123, 24 hours, US:        no extension / extension 24
#
# Why it matters: numbers are masked in logs by replacing what was found from startsAt to endsAt. In
# a list the second half stays: "***-555-0124". An import of recipients sends to every second
# person, and to none with their extension. Split at commas and semicolons first.
#
# Source: createExtensionPattern in libphonenumber-js/source/helpers/extension takes a purpose and
# does not look at it; _create_extn_pattern in phonenumbers/phonenumberutil.py adds commas and
# semicolons for parsing alone.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" phonenumbers==9.0.43
npm install --silent --no-audit --no-fund --prefix "$dir" libphonenumber-js@1.13.16 >/dev/null

cat > "$dir/texts.json" <<'JSON'
[["202-555-0123, 202-555-0124", "US"], ["13800138000,13900139000", "CN"],
 ["138 0013 8000; 139 0013 9000", "CN"], ["202-555-0123, 24 hours", "US"],
 ["+12025550123,+12025550124", "US"], ["(202) 555-0123, (202) 555-0124", "US"],
 ["13800138000，13900139000", "CN"]]
JSON
cat > "$dir/find.cjs" <<'JS'
const { findPhoneNumbersInText } = require('libphonenumber-js/max')
for (const [text, country] of JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'))) {
  const found = findPhoneNumbersInText(text, country).map(({ number, startsAt, endsAt }) =>
    `${number.number}${number.ext ? ` ext. ${number.ext}` : ''} [${text.slice(startsAt, endsAt)}]`)
  console.log(`${text} -> ${found.join(' and ')}`)
}
JS
cat > "$dir/find.py" <<'PY'
import json, sys
import phonenumbers as p
for text, country in json.load(open(sys.argv[1])):
    found = [p.format_number(m.number, p.PhoneNumberFormat.E164)
             + (f" ext. {m.number.extension}" if m.number.extension else "")
             + f" [{m.raw_string}]" for m in p.PhoneNumberMatcher(text, country)]
    print(text, "->", " and ".join(found))
PY
google=$(PYTHONPATH="$dir/py" python3 -X utf8 "$dir/find.py" "$dir/texts.json")
other=$(node "$dir/find.cjs" "$dir/texts.json")
printf 'phonenumbers:\n%s\nlibphonenumber-js:\n%s\n' "$google" "$other"
rest='+12025550123,+12025550124 -> +12025550123 [+12025550123] and +12025550124 [+12025550124]
(202) 555-0123, (202) 555-0124 -> +12025550123 [(202) 555-0123] and +12025550124 [(202) 555-0124]
13800138000，13900139000 -> +8613800138000 [13800138000] and +8613900139000 [13900139000]'
[ "$google" = "\
202-555-0123, 202-555-0124 -> +12025550123 [202-555-0123] and +12025550124 [202-555-0124]
13800138000,13900139000 -> +8613800138000 [13800138000] and +8613900139000 [13900139000]
138 0013 8000; 139 0013 9000 -> +8613800138000 [138 0013 8000] and +8613900139000 [139 0013 9000]
202-555-0123, 24 hours -> +12025550123 [202-555-0123]
$rest" ] || { echo 'CHANGED: phonenumbers'; exit 1; }
[ "$other" = "\
202-555-0123, 202-555-0124 -> +12025550123 ext. 202 [202-555-0123, 202]
13800138000,13900139000 -> +8613800138000 ext. 139001390 [13800138000,139001390]
138 0013 8000; 139 0013 9000 -> +8613800138000 ext. 139 [138 0013 8000; 139]
202-555-0123, 24 hours -> +12025550123 ext. 24 [202-555-0123, 24]
$rest" ] || { echo 'CHANGED: libphonenumber-js'; exit 1; }
echo 'as described'
