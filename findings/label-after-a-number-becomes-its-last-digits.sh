#!/usr/bin/env bash
# Packages: phonenumbers 9.0.43 (PyPI) and google-libphonenumber 3.2.47 (npm), against
# libphonenumber-js 1.13.16 (npm).
#
# Behaviour: a label of three letters or more after a number is no rubbish to be cut off: it is
# dialled as on a keypad and its digits are appended to the number. Before the number, or with two
# letters, the label is dropped. Austrian numbers vary in length, so there the longer number is a
# valid mobile too. With a long label google-libphonenumber even appends other digits than
# phonenumbers: the number no longer fits a JavaScript number.
#
# Seen:
#   "+43 664 1234567 (mob)" -> +436641234567662, valid, mobile; in libphonenumber-js +436641234567
#   "(mob) +43 664 1234567" -> +436641234567
#   "+86 138 0013 8000 (mobile)" -> phonenumbers ...000662453, google-libphonenumber ...000662452
#
# Why it matters: numbers pasted from address books have such labels. No exception is raised, and
# is_valid_number is no guard in countries with varying lengths: the code goes to another
# subscriber. Cut what follows the last digit off first.
#
# Source: the vanity pattern and the normalisation in phonenumbers/phonenumberutil.py
# (_VALID_ALPHA_PHONE_PATTERN).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" phonenumbers==9.0.43
npm install --silent --no-audit --no-fund --prefix "$dir" \
  libphonenumber-js@1.13.16 google-libphonenumber@3.2.47 >/dev/null

cat > "$dir/label.py" <<'PY'
import phonenumbers as p
for text in (
    "+43 664 1234567 (mob)", "(mob) +43 664 1234567", "+43 664 1234567 (my)",
    "+86 138 0013 8000 (mobile)",
):
    number = p.parse(text)
    print(p.format_number(number, p.PhoneNumberFormat.E164), str(p.is_valid_number(number)).lower())
PY
cat > "$dir/label.cjs" <<'JS'
const { parsePhoneNumber } = require('libphonenumber-js/max')
const { PhoneNumberUtil, PhoneNumberFormat } = require('google-libphonenumber')
const google = PhoneNumberUtil.getInstance()
for (const text of [
  '+43 664 1234567 (mob)', '(mob) +43 664 1234567', '+43 664 1234567 (my)',
  '+86 138 0013 8000 (mobile)',
]) {
  if (process.argv[2] === 'google') {
    const number = google.parse(text)
    console.log(google.format(number, PhoneNumberFormat.E164), google.isValidNumber(number))
  } else console.log(parsePhoneNumber(text).number, parsePhoneNumber(text).isValid())
}
JS
python=$(PYTHONPATH="$dir/py" python3 "$dir/label.py")
google=$(node "$dir/label.cjs" google)
other=$(node "$dir/label.cjs" other)
printf 'phonenumbers:\n%s\ngoogle-libphonenumber:\n%s\nlibphonenumber-js:\n%s\n' \
  "$python" "$google" "$other"
[ "$python" = '+436641234567662 true
+436641234567 true
+436641234567 true
+8613800138000662453 false' ] || { echo 'CHANGED: phonenumbers'; exit 1; }
[ "$google" = '+436641234567662 true
+436641234567 true
+436641234567 true
+8613800138000662452 false' ] || { echo 'CHANGED: google-libphonenumber'; exit 1; }
[ "$other" = '+436641234567 true
+436641234567 true
+436641234567 true
+8613800138000 true' ] || { echo 'CHANGED: libphonenumber-js'; exit 1; }
echo 'as described'
