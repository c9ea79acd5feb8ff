#!/usr/bin/env bash
# Packages: phonenumbers 9.0.43 (PyPI) and libphonenumber-js 1.13.16 (npm).
#
# Behaviour: "how do I dial this number from Hong Kong" gives a text that the same library, told
# that the text was typed in Hong Kong, reads as a number in another country. Hong Kong's data write
# the prefix as 00 but read 001, 002, 006 to 009 and others as prefixes too, and the longest one
# wins: the country code loses its first digit.
#
# Seen (both libraries alike):
#   +919123456789 -> "00 91 91234 56789" -> +19123456789 (valid, US instead of IN)
#   +12025550123  -> "00 1 202 ..."      -> +2025550123  (under Egypt's +20, not valid)
#   +61412345678  -> "00 61 412 345 678" -> +1412345678   (not valid)
#   +4915123456789 comes back as it was: no prefix begins with 004
#
# Why it matters: with HK as the default region, "00 91 ..." is no error but a valid number: the
# code goes to a stranger in the USA, and is billed. Ask for + in international numbers, or take a
# national one only, where the region is HK.
#
# Source: phonenumbers/data/region_HK.py (international_prefix beside
# preferred_international_prefix), the same two values in libphonenumber-js/metadata.max.json.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" phonenumbers==9.0.43
npm install --silent --no-audit --no-fund --prefix "$dir" libphonenumber-js@1.13.16 >/dev/null

cat > "$dir/hk.py" <<'PY'
import phonenumbers as p
for text in ("+919123456789", "+12025550123", "+61412345678", "+4915123456789"):
    dialled = p.format_out_of_country_calling_number(p.parse(text), "HK")
    back = p.parse(dialled, "HK")
    number, valid = p.format_number(back, p.PhoneNumberFormat.E164), p.is_valid_number(back)
    print(text, dialled.split()[0], number, str(valid).lower())
PY
cat > "$dir/hk.cjs" <<'JS'
const { parsePhoneNumber: parse } = require('libphonenumber-js/max')
for (const text of ['+919123456789', '+12025550123', '+61412345678', '+4915123456789']) {
  const dialled = parse(text).format('IDD', { fromCountry: 'HK' })
  const back = parse(dialled, 'HK')
  console.log(text, dialled.split(' ')[0], back.number, back.isValid())
}
JS
expected='+919123456789 00 +19123456789 true
+12025550123 00 +2025550123 false
+61412345678 00 +1412345678 false
+4915123456789 00 +4915123456789 true'
for saw in "$(PYTHONPATH="$dir/py" python3 "$dir/hk.py")" "$(node "$dir/hk.cjs")"; do
  printf 'number, prefix written for Hong Kong, read back in Hong Kong, valid:\n%s\n' "$saw"
  [ "$saw" = "$expected" ] || { echo 'CHANGED'; exit 1; }
done
echo 'as described'
