#!/usr/bin/env bash
# Packages: accept-language 3.0.20 (npm), against @formatjs/intl-localematcher 0.10.1 (npm) and
# langcodes 3.5.1 (PyPI).
#
# Behaviour: the README's one example asks a list of en-US and zh-CN for "en-GB,en;q=0.8,sv" and
# gets en-US. That is no match but the first of the list, which is what anybody gets whom nothing
# fits. A wish fits what is equal to it or shorter, never what is longer: "en" does not fit en-US,
# nor "zh" zh-CN. With the same two languages in the other order, the same header, and even a plain
# "en", is answered with zh-CN.
#
# Seen (languages; header; accept-language / the other two):
#   zh-CN, en-US; en-GB,en;q=0.8,sv:         zh-CN / en-US
#   zh-CN, en-US; en:                        zh-CN / en-US
#   en-US, zh-CN; zh-HK,zh;q=0.9,en;q=0.8:   en-US / zh-CN
#   en, de-DE;    de-AT,de;q=0.9:            en / de-DE
#   en, de;       de-AT,de;q=0.9:            de / de
#
# Why it matters: an SMS or a page in Chinese for everybody with a British browser, if Chinese is
# the first language, and in English for everybody in Hong Kong if English is. Tests with en-US and
# zh-CN pass. List languages without a region too (en, zh), or match with Intl's rules.
#
# Source: README.md and Build/Source/AcceptLanguage.js of accept-language
# (tinganho/node-accept-language); issue 36 there: the first is meant to be the default.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --target "$dir/py" langcodes==3.5.1
npm install --silent --no-audit --no-fund --prefix "$dir" \
  accept-language@3.0.20 @formatjs/intl-localematcher@0.10.1 >/dev/null

cat > "$dir/wishes.json" <<'JSON'
[[["en-US", "zh-CN"], "en-GB,en;q=0.8,sv"], [["zh-CN", "en-US"], "en-GB,en;q=0.8,sv"],
 [["zh-CN", "en-US"], "en"], [["en-US", "zh-CN"], "zh-HK,zh;q=0.9,en;q=0.8"],
 [["en", "de-DE"], "de-AT,de;q=0.9"], [["en", "de"], "de-AT,de;q=0.9"]]
JSON
cat > "$dir/wishes.cjs" <<'JS'
const acceptLanguage = require('accept-language')
const wishes = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'))
const tags = header => header.split(',').map(wish => wish.split(';')[0])
import('@formatjs/intl-localematcher').then(({ match }) => {
  for (const [languages, header] of wishes) {
    acceptLanguage.languages(languages)
    const best = match(tags(header), languages, languages[0])
    console.log(languages.join(' '), '|', header, '|', acceptLanguage.get(header), '|', best)
  }
})
JS
cat > "$dir/wishes.py" <<'PY'
import json, sys
import langcodes
for languages, header in json.load(open(sys.argv[1])):
    best = [langcodes.closest_match(wish.split(";")[0], languages)[0] for wish in header.split(",")]
    print(next((language for language in best if language != "und"), languages[0]))
PY
saw=$(node "$dir/wishes.cjs" "$dir/wishes.json")
langcodes=$(PYTHONPATH="$dir/py" python3 "$dir/wishes.py" "$dir/wishes.json")
printf 'languages, header, accept-language, @formatjs/intl-localematcher:\n%s\nlangcodes:\n%s\n' \
  "$saw" "$langcodes"
[ "$saw" = 'en-US zh-CN | en-GB,en;q=0.8,sv | en-US | en-US
zh-CN en-US | en-GB,en;q=0.8,sv | zh-CN | en-US
zh-CN en-US | en | zh-CN | en-US
en-US zh-CN | zh-HK,zh;q=0.9,en;q=0.8 | en-US | zh-CN
en de-DE | de-AT,de;q=0.9 | en | de-DE
en de | de-AT,de;q=0.9 | de | de' ] || { echo 'CHANGED: npm'; exit 1; }
[ "$langcodes" = 'en-US
en-US
en-US
zh-CN
de-DE
de' ] || { echo 'CHANGED: langcodes'; exit 1; }
echo 'as described'
