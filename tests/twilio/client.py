"""Twilio's client for Python, unchanged but for the host, for tests/it/compat/twilio.rs.

    python tests/twilio/client.py http://127.0.0.1:8080 AC... KEY

Each line of standard input is a call, each line of standard output what came of it.
"""

import json
import sys
from datetime import datetime

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

base, account, key = sys.argv[1:]
client = Client(account, key)
client.verify.base_url = base
services = client.verify.v2.services

CALLS = {
    "create": lambda call: services(call["service"]).verifications.create(**call["params"]),
    "check": lambda call: services(call["service"]).verification_checks.create(**call["params"]),
    "fetch": lambda call: services(call["service"]).verifications(call["name"]).fetch(),
    "update": lambda call: (
        services(call["service"]).verifications(call["name"]).update(**call["params"])
    ),
    "services": lambda call: services.list(),
    "service": lambda call: services(call["service"]).fetch(),
    "create service": lambda call: services.create(friendly_name="another"),
    "update service": lambda call: services(call["service"]).update(friendly_name="another"),
    "delete service": lambda call: services(call["service"]).delete(),
    "rate limits": lambda call: services(call["service"]).rate_limits.list(),
    # Where a request to this URL goes.
    "host": lambda call: client.get_hostname(call["name"]),
    "create rate limit": lambda call: services(call["service"]).rate_limits.create("another"),
}


def shown(value):
    """What the client has made of an answer: a date is marked as one."""
    if isinstance(value, datetime):
        return {"date": value.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if hasattr(value, "sid"):
        return {name: shown(item) for name, item in vars(value).items() if name[0] != "_"}
    return value


for line in sys.stdin:
    call = json.loads(line)
    try:
        result = {"ok": shown(CALLS[call["call"]](call))}
    except TwilioRestException as error:
        result = {
            "error": {
                "kind": type(error).__name__,
                "code": error.code,
                "status": error.status,
                "message": error.msg,
            }
        }
    print(json.dumps(result), flush=True)
