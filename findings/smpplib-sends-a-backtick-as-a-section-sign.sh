#!/usr/bin/env bash
# Packages: smpplib 2.2.4 (PyPI); gsmcodecs 1.0.0 (PyPI) reads the octets as a phone does.
#
# Behaviour: a backtick is not in the GSM 7-bit alphabet, so one expects the whole text to go as
# UCS-2, as with every other such letter. smpplib sends it in GSM 7-bit, as the octet of the section
# sign. The section sign, which is in that alphabet, is what makes it switch to UCS-2. Its table
# uses the backtick to fill gaps, and fills the wrong place too.
#
# Seen:
#   "Code: `123456`" -> data_coding 0, octets 43 6f ... 5f ..., on the phone: "Code: §123456§"
#   "§ 5"            -> data_coding 8 (UCS-2)
#   "ç"              -> data_coding 8, as expected
#
# Why it matters: templates with a backtick around the code (copied from a chat or a document)
# arrive with a sign that apps do not cut off, and nothing fails. A text with one section sign costs
# UCS-2's 70 letters a part.
#
# Source: GSM_CHARACTER_TABLE and gsm_encode in smpplib/gsm.py.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" smpplib==2.2.4 gsmcodecs==1.0.0

cat > "$dir/tick.py" <<'PY'
import gsmcodecs
from smpplib import gsm
for text in ("Code: `123456`", "\u00a7 5", "\u00e7"):
    parts, data_coding, _ = gsm.make_parts(text)
    shown = parts[0].decode("gsm23.038-0-0" if data_coding == 0 else "utf-16-be")
    print(text, "->", data_coding, parts[0].hex(), shown)
PY
saw=$(PYTHONPATH="$dir/py" python3 -X utf8 "$dir/tick.py")
printf 'text, data_coding, octets, what the phone shows:\n%s\n' "$saw"
# shellcheck disable=SC2016 # The backticks are the text.
[ "$saw" = 'Code: `123456` -> 0 436f64653a205f3132333435365f Code: §123456§
§ 5 -> 8 00a700200035 § 5
ç -> 8 00e7 ç' ] || { echo 'CHANGED'; exit 1; }
echo 'as described'
