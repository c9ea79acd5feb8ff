#!/usr/bin/env python3
"""A function's cold start, as Lambda sees it: the time until it asks for its first event, its first
answer, and those after it.

    cold.py REDIS_URL BEFORE AFTER [PAIRS]

compares two folders with NAME/bootstrap in turn, such as those of two releases.

The Runtime API is played here (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), and
SQS by nginx over TLS, which answers at once: what is measured is the function. Beside the time on
this machine there is the processor's, since on Lambda there is more of it during init than later: a
function of 256 MB has a seventh of one, and takes seven times as long for what is left to its first
request.
"""

import http.server
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WARM = 10
# Of a processor, that a function of 256 MB has once it was started (1,769 MB have one:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html). During init it has more.
SHARE = 256 / 1769
QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/none"
# The system's certificates on Debian and on Amazon Linux, as many as a function reads on Lambda.
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  default_type application/x-amz-json-1.0; keepalive_timeout 600; ssl_session_tickets off;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/sqs.pem; ssl_certificate_key {folder}/sqs.key;
    location / {{ return 200 '{{"MessageId":"1","MD5OfMessageBody":"","Attributes":{{}}}}'; }}
  }}
}}
"""


class Runtime:
    """The Runtime API for one function at a time."""

    def __init__(self):
        runtime = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                runtime.asked(self)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                runtime.answered(self.path, body)
                self.respond(b"{}", 202)

            def respond(self, body, status=200, headers=()):
                self.send_response(status)
                for name, value in (
                    *headers,
                    ("Content-Type", "application/json"),
                    ("Content-Length", str(len(body))),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def start(self, program, environment, events):
        """Milliseconds of init, first answer and warm answer: elapsed, and of the processor."""
        self.events, self.given, self.times = iter(events), None, []
        self.started, self.done = threading.Event(), threading.Event()
        variables = {
            "AWS_LAMBDA_RUNTIME_API": self.address,
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        }
        began = time.perf_counter()
        with subprocess.Popen(
            [program],
            env={**environment, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as child:
            self.began, self.clock = began, ~child.pid << 3 | 2
            self.started.set()
            finished = self.done.wait(30)
            child.kill()
            log = child.stderr.read().decode()
        if not finished or any(status not in (200, 202, 404) for *_, status in self.times):
            raise RuntimeError(f"{program}: {self.times} {log[-2000:]}")
        first, *warm = [(took, cpu) for took, cpu, _ in self.times]
        throttled = first[0] + first[1] * (1 / SHARE - 1)
        return {
            "init (ms)": self.init[0],
            "first request (ms)": first[0],
            "init + first request (ms)": self.init[0] + first[0],
            "init + first request, reckoned for 256 MB (ms)": self.init[0] + throttled,
            "a later request (ms)": statistics.median(took for took, _ in warm),
            "processor, init (ms)": self.init[1],
            "processor, first request (ms)": first[1],
            "processor, init + first request (ms)": self.init[1] + first[1],
        }

    def now(self):
        taken = time.perf_counter()
        # Its first call may be here before this side knows its number.
        self.started.wait()
        # The second is the processor's time of the function, of all its threads.
        return taken * 1e3, time.clock_gettime(self.clock) * 1e3

    def asked(self, handler):
        if self.given is None:
            now = self.now()
            self.init = (now[0] - self.began * 1e3, now[1])
        event = next(self.events, None)
        if event is None:
            self.done.set()
            return
        headers = (
            ("Lambda-Runtime-Aws-Request-Id", "1"),
            ("Lambda-Runtime-Deadline-Ms", "9999999999999"),
            (
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:us-east-1:000000000000:function:f",
            ),
        )
        body = json.dumps(event).encode()
        self.given = self.now()
        handler.respond(body, headers=headers)

    def answered(self, path, body):
        now = self.now()
        failed = path.endswith("/error")
        answer = json.loads(body)
        status = (
            500 if failed else answer.get("statusCode", 200) if isinstance(answer, dict) else 200
        )
        self.times.append((now[0] - self.given[0], now[1] - self.given[1], status))


class Sqs:
    """A stub of SQS by nginx, and the certificates by which it is known."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]
        command += [
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]
        command += ["-keyout", f"{self.folder}/sqs.key", "-out", f"{self.folder}/sqs.pem"]
        subprocess.run(command, check=True, capture_output=True)
        bundle = next(pathlib.Path(file) for file in CERTIFICATES if os.path.exists(file))
        self.certificates = pathlib.Path(self.folder, "bundle.pem")
        self.certificates.write_text(
            bundle.read_text() + pathlib.Path(self.folder, "sqs.pem").read_text()
        )
        with http.server.socketserver.TCPServer(("127.0.0.1", 0), None) as free:
            port = free.server_address[1]
        pathlib.Path(self.folder, "nginx.conf").write_text(
            NGINX.format(folder=self.folder, port=port)
        )
        self.url = f"https://localhost:{port}"
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        self.nginx = subprocess.Popen(
            ["nginx", "-p", self.folder, "-c", f"{self.folder}/nginx.conf"],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_):
        self.nginx.terminate()
        self.nginx.wait()
        shutil.rmtree(self.folder)


class Functions:
    """The environment and the events of each function."""

    def __init__(self, redis_url, sqs):
        self.runtime, self.asked = Runtime(), 0
        self.environment = {
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_ENDPOINT_URL_SQS": sqs.url,
            "SSL_CERT_FILE": str(sqs.certificates),
            "REDIS_URL": redis_url,
            "QUEUE_URL": QUEUE,
            "DEAD_QUEUE_URL": f"{QUEUE}-dead",
            "CODE_SECRET": "a secret of thirty-two characters",
            "SMS_DSN": "null://default",
            "LIMITS": "off",
            "CHALLENGE": "off",
            "LOG_LEVEL": "warn",
        }

    def start(self, program, function):
        environment = {**self.environment, "AWS_LAMBDA_FUNCTION_NAME": function}
        return self.runtime.start(
            program, environment, [self.event(function) for _ in range(1 + WARM)]
        )

    def event(self, function):
        self.asked += 1
        file = {"request-code": "http-api", "check-code": "status", "send-sms": "one-job"}.get(
            function
        )
        event = (
            json.loads((ROOT / "events" / function / f"{file}.json").read_text()) if file else {}
        )
        if function == "request-code":
            event["body"] = json.dumps({"to": f"138{int(time.time()) % 1000:03}{self.asked:05}"})
        return event


def main():
    redis_url, before, after, *pairs = sys.argv[1:]
    with Sqs() as sqs:
        functions = Functions(redis_url, sqs)
        for function in ("request-code", "check-code", "send-sms"):
            programs = [pathlib.Path(folder, function, "bootstrap") for folder in (before, after)]
            if not all(program.exists() for program in programs):
                continue
            # The first pair brings the files into the page cache.
            taken = [
                [functions.start(program, function) for program in programs]
                for _ in range(1 + int(*pairs or [20]))
            ][1:]
            for figure in taken[0][0]:
                old, new = ([pair[side][figure] for pair in taken] for side in (0, 1))
                ratio = statistics.median(b / a for a, b in zip(old, new))
                print(
                    f"{function:13}{figure:48}{statistics.median(old):8.2f}"
                    f"{statistics.median(new):8.2f}{ratio:7.2f}"
                )


if __name__ == "__main__":
    main()
