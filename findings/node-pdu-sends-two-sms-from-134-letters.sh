#!/usr/bin/env bash
# Packages: node-pdu 2.1.1 (npm); python-messaging 0.5.13 (PyPI) as a second opinion.
#
# Behaviour: an SMS holds 160 letters of the GSM alphabet, or 70 in UCS-2. node-pdu packs seven bits
# correctly, but divides a text as if each letter took an octet and each part had a header: from 134
# letters, or 64 in UCS-2, there are two messages, and from 267 three. A single accented letter of
# the GSM alphabet (é, ä, ñ) makes it UCS-2 too.
#
# Seen (SMS needed: node-pdu / python-messaging):
#   133 letters: 1 / 1     134: 2 / 1     160: 2 / 1     267: 3 / 2
#   63 Chinese letters: 1 / 1     64: 2 / 1     70: 2 / 1
#   100 letters, one of them é: 2 / 1
#
# Why it matters: each SMS is billed. A code with a line for the page that fills it in easily has
# 134 letters, and a French or Spanish one is written in UCS-2. Count letters with another library,
# and shorten the text to 133 or 63.
#
# Source: prepareParts, checkData and the limits 140 and 70 beside HEADER_SIZE in
# node-pdu/dist/cjs/index.cjs; 3GPP TS 23.038, 6.1.2.1.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" python-messaging==0.5.13
npm install --silent --no-audit --no-fund --prefix "$dir" node-pdu@2.1.1 >/dev/null

cat > "$dir/count.cjs" <<'JS'
const { Submit } = require('node-pdu')
const latin = [133, 134, 160, 266, 267].map(n => 'a'.repeat(n))
const chinese = [63, 64, 70].map(n => '码'.repeat(n))
const texts = [...latin, ...chinese, 'a'.repeat(99) + 'é']
console.log(texts.map(text => new Submit('+12025550123', text).getPartStrings().length).join(' '))
JS
cat > "$dir/count.py" <<'PY'
from messaging.sms import SmsSubmit
texts = ["a" * n for n in (133, 134, 160, 266, 267)]
texts += ["码" * n for n in (63, 64, 70)] + ["a" * 99 + "é"]
print(*(len(SmsSubmit("+12025550123", text).to_pdu()) for text in texts))
PY
saw=$(node "$dir/count.cjs")
opinion=$(PYTHONPATH="$dir/py" python3 -X utf8 "$dir/count.py")
echo 'SMS for 133, 134, 160, 266, 267 letters; 63, 64, 70 Chinese letters; 100 letters with an é'
printf 'node-pdu:         %s\npython-messaging: %s\n' "$saw" "$opinion"
[ "$saw" = '1 2 2 2 3 1 2 2 2' ] || { echo 'CHANGED: node-pdu'; exit 1; }
[ "$opinion" = '1 1 1 2 2 1 1 1 1' ] || { echo 'CHANGED: python-messaging'; exit 1; }
echo 'as described'
