"""Lets Schemathesis call everything that shared/http/openapi.json describes, and compare each
answer with it.

    python tests/specification.py target/debug/sms-verify

Run by tests/run with the Python of target/tools. Thousands of made-up requests, good and bad, by
themselves and one after another (ask, check, look, end): no answer may be one that the document
does not have, and nothing bad may be taken.
"""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# The key in schemathesis.toml.
KEY = hashlib.sha256(b"a-key-of-the-tests").hexdigest()

# Gateways cannot be reached, so that nothing is sent; pictures and receipts are there to be called.
SETTINGS = {
    "LISTEN": "127.0.0.1:0",
    "LIMITS": "off",
    "CHALLENGE": "picture",
    "MAX_ATTEMPTS": "100",
    "API_KEYS": f"tests={KEY}",
    "TWILIO_VERIFY_SERVICES": "VA0123456789abcdef0123456789abcdef=login",
    "SMS_DSN": "ccp://sid:token@127.0.0.1:1?app_id=A&template=1&tls=false"
    "&receipts=a-path-nobody-guesses",
}


def main():
    server = subprocess.Popen(
        [sys.argv[1]], env=SETTINGS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = next(
            found[0] for line in server.stdout if (found := re.search(r"http://[\d.:]+", line))
        )
        command = [
            "schemathesis",
            "--config-file",
            str(HERE / "schemathesis.toml"),
            "run",
            f"{address}/openapi.json",
        ]
        environment = {**os.environ, "SCHEMATHESIS_TELEMETRY": "0", "NO_PROXY": "127.0.0.1"}
        # It keeps what it found for a replay, in the folder that it runs in.
        with tempfile.TemporaryDirectory() as folder:
            return subprocess.run(command, env=environment, cwd=folder).returncode
    finally:
        server.terminate()
        server.wait()


sys.exit(main())
