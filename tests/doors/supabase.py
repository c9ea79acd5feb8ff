"""Calls the hook of Supabase Auth, signed by the package standardwebhooks.

    python tests/doors/supabase.py CALLS

CALLS is a list in JSON of {"url", "secrets", "body", "seconds"}: the time of the signature is that
many seconds from now. Prints a list of {"status", "body", "retry_after"}.
"""

import datetime
import json
import sys
import uuid

import requests
from standardwebhooks import Webhook


def post(call):
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=call["seconds"])
    # As Supabase sends it: JSON without spaces, and the signatures joined by ", ".
    body = json.dumps(call["body"], separators=(",", ":"))
    name = f"msg_{uuid.uuid4()}"
    keys = [Webhook(secret.removeprefix("v1,")) for secret in call["secrets"]]
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": ", ".join(key.sign(name, now, body) for key in keys),
    }
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(call["url"], data=body.encode(), headers=headers, timeout=30)
    return {
        "status": answer.status_code,
        "body": answer.json(),
        "retry_after": answer.headers.get("Retry-After"),
    }


print(json.dumps([post(call) for call in json.loads(sys.argv[1])]))
