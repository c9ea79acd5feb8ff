"""Makes bodies as Ory Kratos does, by the Jsonnet of docs/guide/doors.md.

    python tests/doors/kratos.py CONTEXTS

CONTEXTS is a list in JSON of what Kratos gives the Jsonnet. Prints the list of the bodies.
"""

import json
import pathlib
import re
import sys

import _jsonnet

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide" / "doors.md"

template = re.search(r"```jsonnet\n(.*?)```", GUIDE.read_text(), re.DOTALL)[1]
bodies = [
    json.loads(_jsonnet.evaluate_snippet("sms.jsonnet", template, tla_codes={"ctx": json.dumps(c)}))
    for c in json.loads(sys.argv[1])
]
print(json.dumps(bodies))
