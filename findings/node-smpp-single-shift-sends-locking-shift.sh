#!/usr/bin/env bash
# Packages: smpp 0.5.1 (npm) writes, gsmcodecs 1.0.0 (PyPI) reads as 3GPP TS 23.038 says.
#
# Behaviour: a user data header may announce a national single shift table (element 0x24: foreign
# letters come after an escape) or a locking shift table (0x25: they replace others). smpp writes
# the same octets for both. With 0x24, Turkish and Portuguese texts carry locking octets under a
# single shift header. smpp reads its own message back correctly, so that a test between two of it
# passes; a phone shows other letters. Spanish, the other way round, is right with 0x24.
#
# Seen:
#   Turkish "Doğrulama kodu: 123456", 0x24 -> "Doørulama kodu: 123456"; 0x25 -> right
#   Portuguese "Código de verificação: 123456", 0x24 -> "Còdigo de verificaÇäo: 123456";
#   0x25 -> right
#   Spanish "Código: 123456", 0x24 -> right
#
# Why it matters: 0x24 is the usual element for a code in Turkish, since one part then holds 155
# letters, where UCS-2 has 70. The text arrives wrong, and delivery reports are fine. Use 0x25 here,
# or give the message as octets.
#
# Source: filters.message and gsmCoder in smpp/lib/defs.js; README (short_message with udh).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" gsmcodecs==1.0.0
npm install --silent --no-audit --no-fund --prefix "$dir" smpp@0.5.1 >/dev/null

cat > "$dir/shift.cjs" <<'JS'
const smpp = require('smpp')
const texts = [
  [1, 'Doğrulama kodu: 123456'], [3, 'Código de verificação: 123456'], [2, 'Código: 123456'],
]
for (const [language, message] of texts) {
  for (const element of language === 2 ? [0x24] : [0x24, 0x25]) {
    const udh = Buffer.from([3, element, 1, language])
    const fields = { destination_addr: '12025550123', short_message: { udh, message } }
    const sent = new smpp.PDU('submit_sm', fields).toBuffer()
    const own = new smpp.PDU(sent).short_message.message
    const octets = sent.subarray(sent.indexOf(udh) + udh.length)
    const row = [element.toString(16), language, own === message, octets.toString('hex')]
    console.log(row.join('\t'))
  }
}
JS
cat > "$dir/shift.py" <<'PY'
import sys
import gsmcodecs
for line in sys.stdin:
    element, language, own, octets = line.split()
    table = f"gsm23.038-0-{language}" if element == "24" else f"gsm23.038-{language}-0"
    print("0x" + element, language, own, bytes.fromhex(octets).decode(table))
PY
saw=$(node "$dir/shift.cjs" | PYTHONPATH="$dir/py" python3 -X utf8 "$dir/shift.py")
printf 'element, language, right when smpp itself reads it, what a phone shows:\n%s\n' "$saw"
[ "$saw" = '0x24 1 true Doørulama kodu: 123456
0x25 1 true Doğrulama kodu: 123456
0x24 3 true Còdigo de verificaÇäo: 123456
0x25 3 true Código de verificação: 123456
0x24 2 true Código: 123456' ] || { echo 'CHANGED'; exit 1; }
echo 'as described'
