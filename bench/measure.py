"""Measures sms-verify, the tutorial's stack and the parts by themselves, in turn; results go to
target/bench/results.json.

    measure.py ROUNDS [STEP...]

STEP is requests, guard, timing, drain, latency, start, functions or valgrind.

Every figure is taken once a round, each round takes all of them, and sides alternate within a
round. See bench/run.
"""

import collections
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import amqp

from cold import Functions, Sqs
from processes import Process, free_port
from stacks import (
    HERE,
    POOLS,
    SERVERS,
    TARGET,
    Broker,
    Limit,
    Ours,
    Peer,
    binary,
    clean,
    learned,
    numbers,
)
from timing import Timing

CONNECTIONS = (64, 256)
SECONDS = 3
# Jobs that a drain begins with: some seconds of work, of which the first and the last tenth do not
# count.
BACKLOG = {"ours": 40_000, "peer": 20_000}
# Of each function, in each round.
STARTS = 10
# The sides of the comparison of the conversion guard: the defaults, but for these variables.
GUARDS = {
    "limits and guard": {},
    "limits, GUARD=off": {"GUARD": "off"},
    "neither": {"GUARD": "off", "LIMITS": "off"},
}
# As CCP answers.
ACCEPTED = (
    '{"statusCode":"000000","templateSMS":{"smsMessageSid":"s","dateCreated":"20260101000000"}}'
)
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000; default_type application/json;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      return 200 '{answer}';
    }}
  }}
}}
"""


class Bench:
    def __init__(self, folder):
        self.folder, self.broker = folder, Broker()
        # The values of each figure: results[figure][side] = one number a round.
        self.results = collections.defaultdict(lambda: collections.defaultdict(list))
        self.chosen = {}

    def keep(self, figure, side, value):
        self.results[figure][side].append(value)
        print(f"    {figure} · {side}: {value:,.4g}", flush=True)

    # Requests a second, by wrk on one thread.

    def wrk(self, web, stack, kind, connections, seconds=SECONDS):
        """Requests a second, of which all that are counted got the expected answer."""
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}",
            "-s",
            f"{HERE}/wrk/{stack.script(kind)}",
            web.url,
        ]
        environment = {**os.environ, "FIRST": str(numbers(400_000))}
        text = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout
        asked, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        refused = int(refused[1]) if refused else 0
        # The tutorial's site refuses with 200.
        wrong = refused if kind == "accepted" else 0
        if wrong > 0.01 * int(asked):
            raise RuntimeError(f"{stack.name}: {wrong} of {asked} requests failed")
        return (int(asked) - wrong) / float(took), int(asked) - wrong

    def requests(self, stack, side, kind, connections, prepare=lambda: None):
        clean(self.broker)
        prepare()
        with stack.web() as web:
            web.wait_until_answered(web.first)
            self.wrk(web, stack, kind, connections, 1)
            before = web.cpu()
            rate, count = self.wrk(web, stack, kind, connections)
            self.keep(f"{kind} requests/s", side, rate)
            self.keep(
                f"server CPU per {kind} request (µs)", side, (web.cpu() - before) / count * 1e6
            )

    def choose(self):
        """Tries each server, pool and number of connections, and keeps each side's best."""
        rates = {}
        for server in SERVERS:
            for connections in CONNECTIONS:
                peer = Peer(self.folder, server)
                for kind in ("accepted", "throttled"):
                    clean(self.broker)
                    with peer.web() as web:
                        web.wait_until_answered(web.first)
                        try:
                            rate, _ = self.wrk(web, peer, kind, connections, 2)
                        except RuntimeError as error:
                            print(f"    {error}", flush=True)
                            rate = 0
                    rates[kind, server, connections] = rate
                    print(
                        f"    {kind} · {server}, {connections} connections: {rate:,.0f}/s",
                        flush=True,
                    )
        for kind in ("accepted", "throttled"):
            best = max((key for key in rates if key[0] == kind), key=rates.get)
            self.chosen[f"peer, {kind}"] = best[1:]
        for name, gateway, count in (("pool", False, 8_000), ("pool, stub", True, 4_000)):
            rates = {}
            for pool, (_, prefetches) in POOLS.items():
                for prefetch in prefetches:
                    rates[pool, prefetch] = self.drain(
                        Peer(self.folder, pool=pool, prefetch=prefetch), gateway, count
                    )[0]
                    print(
                        f"    {name} · {pool}, prefetch {prefetch}: "
                        f"{rates[pool, prefetch]:,.0f} jobs/s",
                        flush=True,
                    )
            self.chosen[name] = max(rates, key=rates.get)
        for kind in ("accepted", "throttled"):
            rates = collections.defaultdict(list)
            for connections in CONNECTIONS * 3:
                clean(self.broker)
                ours = Ours(self.folder)
                with ours.web() as web:
                    web.wait_until_answered(web.first)
                    rates[connections].append(self.wrk(web, ours, kind, connections, 2)[0])
            self.chosen[f"ours, {kind}"] = max(
                rates, key=lambda connections: sorted(rates[connections])[1]
            )
        print("   ", self.chosen, flush=True)

    def requests_round(self):
        for kind, limit in (("accepted", "publish"), ("throttled", "script")):
            connections = self.chosen[f"ours, {kind}"]
            server, theirs = self.chosen[f"peer, {kind}"]
            self.requests(Ours(self.folder), "ours", kind, connections)
            self.requests(Peer(self.folder, server), "peer", kind, theirs)
            self.requests(Limit(self.folder, limit), f"limit: {limit}", kind, connections)
            if kind == "accepted":
                self.requests(Ours(self.folder, "quorum"), "ours, quorum queue", kind, connections)
                self.requests(
                    Peer(self.folder, server, confirm=True), "peer, confirmed", kind, theirs
                )
                self.requests(Limit(self.folder, "http"), "limit: http", kind, connections)
                self.requests(Limit(self.folder, "script"), "limit: script", kind, connections)

    # The cost of the limits and of the conversion guard.

    def guard_round(self):
        connections = self.chosen.get("ours, accepted", 256)
        for side, variables in GUARDS.items():
            self.requests(
                Ours(self.folder, variables=variables), side, "accepted", connections, learned
            )

    # The time of answers that must not tell what is known of a number or an id.

    def timing_round(self):
        clean(self.broker)
        with Ours(self.folder, variables={"LIMITS": "off", "RESEND_INTERVAL": "1"}).web() as web:
            web.wait_until_answered(web.first)
            for (question, side), value in Timing(web.url).compare().items():
                self.keep(f"{question} (µs)", side, value)

    # Jobs a second of one worker process.

    def nginx(self):
        port, folder = free_port(), tempfile.mkdtemp(dir=self.folder)
        with open(f"{folder}/nginx.conf", "w", encoding="utf-8") as file:
            file.write(NGINX.format(port=port, folder=folder, answer=ACCEPTED))
        process = Process(
            "nginx", ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"], {}, self.folder
        )
        process.address = f"127.0.0.1:{port}"
        request = urllib.request.Request(f"http://{process.address}/")
        process.wait_until_answered(request)
        return process

    def fill(self, stack, count):
        if isinstance(stack, Peer):
            body, properties = celery_message()
            self.broker.fill(stack.queue, body, count, **properties)
        elif isinstance(stack, Limit):
            self.broker.fill(stack.queue, b"x" * 200, count)
        else:
            with stack.web() as web:
                web.wait_until_answered(web.first)
                while self.broker.depth(stack.queue) < count:
                    self.wrk(web, stack, "accepted", 256, 1)

    def drain(self, stack, gateway, count):
        """Jobs a second from nine tenths to one tenth of a backlog, and the CPU µs for each."""
        clean(self.broker)
        self.fill(stack, count)
        count, samples = self.broker.depth(stack.queue), []
        with contextlib.ExitStack() as started:
            stub = started.enter_context(self.nginx()).address if gateway else None
            worker = started.enter_context(stack.worker(stub))
            while not samples or samples[-1][1] > 0.1 * count:
                depth = self.broker.depth(stack.queue)
                if depth <= 0.9 * count:
                    samples.append((time.monotonic(), depth, worker.cpu()))
                worker.check()
                time.sleep(0.02)
        (start, most, cpu), (end, least, cpu_end) = samples[0], samples[-1]
        return (most - least) / (end - start), (cpu_end - cpu) / (most - least) * 1e6

    def drain_round(self):
        for gateway in (False, True):
            what = "an HTTP stub" if gateway else "no gateway"
            pool = self.chosen["pool, stub" if gateway else "pool"]
            sides = [
                ("ours", Ours(self.folder)),
                ("peer", Peer(self.folder, pool=pool[0], prefetch=pool[1])),
            ]
            if not gateway:
                sides += [
                    ("limit: consume", Limit(self.folder, "")),
                    ("ours, quorum queue", Ours(self.folder, "quorum")),
                ]
            for side, stack in sides:
                count = BACKLOG["peer" if side == "peer" else "ours"] // (2 if gateway else 1)
                rate, cpu = self.drain(stack, gateway, count)
                self.keep(f"jobs/s of one worker, {what}", side, rate)
                self.keep(f"worker CPU per job, {what} (µs)", side, cpu)

    # Latency at fixed rates, and memory under the last of them.

    def latency_round(self):
        pool = self.chosen["pool, stub"]
        server = self.chosen["peer, accepted"][0]
        for rate in (100, 1000):
            for side, stack in (
                ("ours", Ours(self.folder)),
                ("peer", Peer(self.folder, server, pool=pool[0], prefetch=pool[1])),
            ):
                clean(self.broker)
                gateway = f"127.0.0.1:{free_port()}"
                with stack.web() as web, stack.worker(gateway) as worker:
                    web.wait_until_answered(web.first)
                    wait_for_consumer(self.broker, stack.queue)
                    first = numbers(rate * 5)
                    command = [binary("load"), str(rate), "5", side, web.url, gateway, str(first)]
                    report = json.loads(
                        subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    )
                    memory = web.memory() + worker.memory()
                lost = report["asked"] - report["accepted"]
                if lost or report["arrived"] < report["asked"]:
                    print(f"    {side} at {rate}/s: {report}", flush=True)
                for percentile in ("p50", "p99"):
                    self.keep(
                        f"{percentile} to the answer at {rate}/s (ms)",
                        side,
                        report["answer"][percentile] or 0,
                    )
                    self.keep(
                        f"{percentile} to the gateway at {rate}/s (ms)",
                        side,
                        report["arrival"][percentile] or 0,
                    )
                if rate == 1000:
                    self.keep("resident memory, web + worker (MB)", side, memory / 1e6)

    def start_round(self):
        for side, stack in (
            ("ours", Ours(self.folder)),
            ("peer", Peer(self.folder, self.chosen["peer, accepted"][0])),
        ):
            clean(self.broker)
            with stack.web() as web:
                self.keep(
                    "start to first answer (ms)", side, web.wait_until_answered(web.first) * 1e3
                )

    # Functions, from the start of the process on.

    def functions_round(self):
        with Sqs() as sqs:
            functions = Functions(os.environ["REDIS_URL"], sqs)
            names = ("hello", "request-code", "check-code", "send-sms")
            # In turn, since a single start tells little. The first only brings the file into the
            # page cache.
            starts = [
                [functions.start(binary(name), name) for name in names] for _ in range(STARTS + 1)
            ][1:]
        for name, taken in zip(names, zip(*starts, strict=True), strict=True):
            for figure in taken[0]:
                self.keep(
                    f"cold start: {figure}",
                    name,
                    statistics.median(start[figure] for start in taken),
                )

    # Once, under valgrind: what repeats to the instruction.

    def valgrind(self):
        def total(tool, pattern, seconds):
            clean(self.broker)
            prefix = ["valgrind", f"--tool={tool}", f"--{tool}-out-file=/dev/null"]
            with Ours(self.folder).web(prefix) as web:
                web.wait_until_answered(web.first)
                command = [
                    binary("load"),
                    "50",
                    str(seconds),
                    "ours",
                    web.url,
                    "-",
                    str(numbers(10_000)),
                ]
                report = json.loads(
                    subprocess.run(command, check=True, capture_output=True, text=True).stdout
                )
            return report["accepted"], [
                int(n.replace(",", "")) for n in re.search(pattern, web.output()).groups()
            ]

        for tool, pattern, figures in (
            ("callgrind", r"Collected : (\d+)", ["instructions per accepted request"]),
            (
                "dhat",
                r"Total:\s+([\d,]+) bytes in ([\d,]+) blocks",
                ["bytes allocated per accepted request", "allocations per accepted request"],
            ),
        ):
            (few, before), (many, after) = total(tool, pattern, 2), total(tool, pattern, 22)
            for figure, less, more in zip(figures, before, after):
                self.keep(figure, "ours", (more - less) / (many - few))


def celery_message():
    """A task as `send_sms_code.delay` queues it."""
    body = (
        b'[["13800138000", "123456"], {},'
        b' {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
    )
    identity = "6f1b0a3e-3a53-4f0e-9d52-2d2c3d0e7a11"
    headers = {
        "lang": "py",
        "task": "send_sms_code",
        "id": identity,
        "root_id": identity,
        "retries": 0,
        "eta": None,
    }
    return body, {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "application_headers": headers,
    }


def wait_for_consumer(broker, queue):
    while True:
        try:
            if broker.channel.queue_declare(queue, passive=True).consumer_count > 0:
                return
        except amqp.NotFound:
            # The queue is not there yet, which has closed the channel.
            broker.channel = broker.connection.channel()
        time.sleep(0.05)


def main():
    rounds, steps = int(sys.argv[1]), sys.argv[2:]

    def wanted(step):
        return not steps or step in steps

    os.makedirs(f"{TARGET}/bench", exist_ok=True)
    with tempfile.TemporaryDirectory(dir=f"{TARGET}/bench") as folder:
        bench = Bench(folder)
        if any(wanted(step) for step in ("requests", "drain", "latency", "start")):
            print("choosing the peer's best", flush=True)
            bench.choose()
        for number in range(1, rounds + 1):
            for step in ("requests", "guard", "timing", "drain", "latency", "start", "functions"):
                if wanted(step):
                    print(f"round {number}: {step}", flush=True)
                    getattr(bench, f"{step}_round")()
        if wanted("valgrind"):
            print("valgrind", flush=True)
            bench.valgrind()
        clean(bench.broker)
    keep(bench, rounds if not steps else None)


def keep(bench, rounds):
    """Writes the results; with steps named, in place of the same figures of an earlier run."""
    path, measured = f"{TARGET}/bench/results.json", {"results": {}, "chosen": {}}
    if rounds is None and os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            measured = json.load(file)
    measured["results"] |= bench.results
    measured["chosen"] |= bench.chosen
    measured["rounds"] = rounds or measured.get("rounds")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(measured, file, indent=1)


if __name__ == "__main__":
    main()
