#!/usr/bin/env bash
# Packages: phone 3.1.72 (npm); phonenumbers 9.0.43 (PyPI) as a second opinion.
#
# Behaviour: given a complete, valid number with +, phone() answers isValid: true with another
# number in phoneNumber. If a number is one digit longer than its (old) table says, it takes the
# first digit after the country code for a trunk prefix and drops it, whatever digit that is. Naming
# the right country, or strictDetection, turns the same number invalid.
#
# Seen:
#   +5491123456789 -> +541123456789  (an Argentine mobile becomes a valid land line)
#   +24106031234   -> +2416031234    (Gabon: the 0 belongs to the number)
#   +231770123456  -> +23170123456   (Liberia: no number at all; the digit dropped is a 7)
#   phone('+5491123456789', { country: 'AR' }) -> isValid false
#
# Why it matters: who stores or texts phoneNumber because isValid is true sends the code to a land
# line or to nobody, and the number verified is not the one the person typed. Compare phoneNumber
# with the input, or set strictDetection.
#
# Source: phone/dist/index.js (branch of possibleCountryPhoneData), findPossibleCountryPhoneData in
# phone/dist/lib/utility.js; the README describes it for a 0 in a British number.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" phonenumbers==9.0.43
npm install --silent --no-audit --no-fund --prefix "$dir" phone@3.1.72 >/dev/null

cat > "$dir/short.cjs" <<'JS'
const { phone } = require('phone')
for (const typed of ['+5491123456789', '+24106031234', '+231770123456']) {
  const country = { '+54': 'AR', '+24': 'GA', '+23': 'LR' }[typed.slice(0, 3)]
  const plain = phone(typed)
  console.log(typed, plain.isValid, plain.phoneNumber, phone(typed, { country }).isValid,
    phone(typed, { strictDetection: true }).isValid)
}
JS
cat > "$dir/opinion.py" <<'PY'
import phonenumbers as p
kinds = {0: "fixed_line", 1: "mobile"}
for text in ("+5491123456789", "+541123456789", "+24106031234", "+231770123456", "+23170123456"):
    number = p.parse(text)
    print(text, p.is_valid_number(number), kinds.get(p.number_type(number), "-"))
PY
saw=$(node "$dir/short.cjs")
printf 'typed, isValid, phoneNumber, isValid with its country, with strictDetection:\n%s\n' "$saw"
opinion=$(PYTHONPATH="$dir/py" python3 "$dir/opinion.py")
printf 'phonenumbers says, valid and kind:\n%s\n' "$opinion"
[ "$saw" = '+5491123456789 true +541123456789 false false
+24106031234 true +2416031234 false false
+231770123456 true +23170123456 false false' ] || { echo 'CHANGED: phone'; exit 1; }
[ "$opinion" = '+5491123456789 True mobile
+541123456789 True fixed_line
+24106031234 True mobile
+231770123456 True mobile
+23170123456 False -' ] || { echo 'CHANGED: phonenumbers'; exit 1; }
echo 'as described'
