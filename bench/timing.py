"""Compares the time of answers that must not tell what is known of a number or an id.

Pairs of requests that are answered alike are asked in turn on one connection.
"""

import base64
import hmac
import http.client
import json
import secrets
import statistics
import time
import urllib.parse
from functools import partial

from stacks import SECRET, numbers

# Pairs of requests in a round.
PAIRS = 2_000


def code_of(identity):
    """As shared/domain/src/code.rs derives it."""
    key = hmac.digest(SECRET.encode(), b"sms-verify code", "sha256")
    digest = hmac.digest(key, decode(identity)[:27], "sha256")
    offset = digest[31] & 0x0F
    number = int.from_bytes(digest[offset : offset + 8], "big") & (2**63 - 1)
    return f"{number % 10**6:06}"


def decode(identity):
    return base64.urlsafe_b64decode(identity + "=" * (-len(identity) % 4))


def unknown(identity):
    """An id like this one, of nobody."""
    fixed = decode(identity)[:1] + secrets.token_bytes(26)
    return base64.urlsafe_b64encode(fixed).decode().rstrip("=")


class Timing:
    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)

    def call(self, path, body):
        """The time (µs) until the answer is there, its status, and the answer."""
        text, headers = json.dumps(body), {"Content-Type": "application/json"}
        began = time.perf_counter()
        self.connection.request("POST", path, text, headers)
        response = self.connection.getresponse()
        answer = response.read()
        return (time.perf_counter() - began) * 1e6, response.status, json.loads(answer)

    def ask(self, number):
        return self.call("/v1/verifications", {"to": f"1{number:010}"})

    def check(self, identity, code="000000"):
        return self.call(f"/v1/verifications/{identity}/check", {"code": code})

    def compare(self):
        """Medians (µs) of what is asked in turn, by the question and its side."""
        known, new, ids = numbers(PAIRS), numbers(PAIRS), []
        for number in range(known, known + PAIRS):
            ids.append(self.ask(number)[2]["id"])
            if self.check(ids[-1], code_of(ids[-1]))[1] != 200:
                raise RuntimeError("a right code was not taken")
        # The cooldown of the last of them.
        time.sleep(1.1)
        times = {}
        for index, identity in enumerate(ids):
            checks = [
                ("checking a code", "an unknown id", 404, partial(self.check, unknown(identity))),
                ("checking a code", "a used id", 404, partial(self.check, identity)),
            ]
            asks = [
                ("asking for a code", "a new number", 202, partial(self.ask, new + index)),
                (
                    "asking for a code",
                    "a number that was verified",
                    202,
                    partial(self.ask, known + index),
                ),
            ]
            # Each side as often first as second: what comes first finds colder caches. Checks
            # first, since asking ends an id.
            for question, side, status, call in (
                checks + asks if index % 2 else checks[::-1] + asks[::-1]
            ):
                took, answered, _ = call()
                if answered != status:
                    raise RuntimeError(f"{question}, {side}: {answered}")
                times.setdefault((question, side), []).append(took)
            # Refused for the second that RESEND_INTERVAL is here.
            for side in ("refused by the store", "refused from memory"):
                took, answered, _ = self.ask(new + index)
                if answered != 429:
                    raise RuntimeError(f"asking again, {side}: {answered}")
                times.setdefault(("asking again", side), []).append(took)
        return {key: statistics.median(values) for key, values in times.items()}
