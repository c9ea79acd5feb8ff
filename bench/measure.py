"""Measures sms-verify, the tutorial's two steps in Node and in Django, and the parts by themselves,
in turn; results go to target/bench/results.json.

    measure.py ROUNDS [STEP...]

STEP is requests, guard, timing, drain, latency, start, functions or valgrind.

Every figure is taken once a round, each round takes all of them, and sides alternate within a
round. See bench/run.
"""

import collections
import contextlib
import itertools
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
from processes import Process, Service, free_port
from stacks import (
    AMQP_URL,
    BASELINE,
    HERE,
    POOLS,
    PREFETCHES,
    PROCESSES,
    REDIS_URL,
    SERVERS,
    TARGET,
    Broker,
    Django,
    Limit,
    Node,
    Ours,
    binary,
    clean,
    learned,
    numbers,
)
from timing import Timing

# Our own side accepts over the most; the others over what they do better with.
CONNECTIONS = (64, 256)
SECONDS = 3
QUEUE_TYPES = ("quorum", "classic")
# Our own builds: this one, and an earlier one to compare with.
BUILDS = {"ours": binary("sms-verify"), "baseline": BASELINE and f"{BASELINE}/sms-verify"}
# Jobs that a drain begins with, without a gateway and with one: some seconds of work, of which the
# first and the last tenth do not count.
BACKLOG = {
    Ours: (80_000, 40_000),
    Node: (80_000, 40_000),
    Django: (20_000, 10_000),
    Limit: (40_000,),
}
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
        self.redis, self.rabbitmq = Service(REDIS_URL), Service(AMQP_URL)
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

    def requests(self, stack, side, kind, connections, prepare=lambda: None, memory=False):
        clean(self.broker)
        prepare()
        with stack.web() as web:
            web.wait_until_answered(web.first)
            self.wrk(web, stack, kind, connections, 1)
            clocks = {"server": web.cpu, "Redis": self.redis.cpu}
            if kind == "accepted":
                clocks["RabbitMQ"] = self.rabbitmq.cpu
            before = {name: cpu() for name, cpu in clocks.items()}
            rate, count = self.wrk(web, stack, kind, connections)
            self.keep(f"{kind} requests/s", side, rate)
            for name, cpu in clocks.items():
                spent = (cpu() - before[name]) / count
                self.keep(f"{name} CPU per {kind} request (µs)", side, spent * 1e6)
            if memory:
                self.memory(stack, side, web, connections)

    def memory(self, stack, side, web, connections):
        """Of both processes, at the end of a flood of requests, with the worker busy too."""
        with stack.worker() as worker:
            wait_for_consumer(self.broker, stack.queue, worker)
            self.wrk(web, stack, "accepted", connections, 2)
            used = web.memory() + worker.memory()
        self.keep("resident memory, api + worker (MB)", side, used / 1e6)

    def tried(self, stack, kind, connections, times=1):
        rates = []
        for _ in range(times):
            clean(self.broker)
            with stack.web() as web:
                web.wait_until_answered(web.first)
                rates.append(self.wrk(web, stack, kind, connections, 2)[0])
        return statistics.median(rates)

    def best(self, name, candidates, measure):
        """Keeps the candidate, a tuple, for which `measure` says most."""
        rates = {}
        for candidate in candidates:
            try:
                rates[candidate] = measure(*candidate)
            except RuntimeError as error:
                print(f"    {error}", flush=True)
                rates[candidate] = 0
            text = ", ".join(map(str, candidate))
            print(f"    {name} · {text}: {rates[candidate]:,.0f}/s", flush=True)
        self.chosen[name] = max(rates, key=rates.get)

    def choose(self):
        """Tries servers, numbers of processes and of connections, pools and prefetches."""
        folder = self.folder
        for kind in ("accepted", "throttled"):
            self.best(
                f"django, {kind}",
                itertools.product(SERVERS, CONNECTIONS),
                lambda server, count, kind=kind: self.tried(Django(folder, server), kind, count),
            )
        for name, kind, confirm in (
            ("accepted", "accepted", True),
            ("unconfirmed", "accepted", False),
            ("throttled", "throttled", True),
        ):
            self.best(
                f"node, {name}",
                itertools.product(PROCESSES, CONNECTIONS),
                lambda processes, count, kind=kind, confirm=confirm: self.tried(
                    Node(folder, processes=processes, confirm=confirm), kind, count, 3
                ),
            )
        self.best(
            "ours, throttled",
            ((count,) for count in CONNECTIONS),
            lambda count: self.tried(Ours(folder), "throttled", count, 3),
        )
        for gateway, what in ((False, "pool"), (True, "pool, stub")):
            self.best(
                f"django, {what}",
                ((pool, each) for pool in POOLS for each in POOLS[pool][1]),
                lambda pool, each, gateway=gateway: self.drain(
                    Django(folder, pool=pool, prefetch=each), gateway, 4_000 if gateway else 8_000
                )[0],
            )
        for gateway, what in ((False, "prefetch"), (True, "prefetch, stub")):
            self.best(
                f"node, {what}",
                ((each,) for each in PREFETCHES[gateway]),
                lambda each, gateway=gateway: self.drain(
                    Node(folder, prefetch=each), gateway, 20_000 if gateway else 40_000
                )[0],
            )
        print("   ", self.chosen, flush=True)

    # The sides, each as it was found to be best.

    def builds(self):
        return {side: program for side, program in BUILDS.items() if program}

    def node(self, queue_type="quorum", kind="accepted", gateway=False):
        """With a worker for a gateway or for none."""
        prefetch = self.chosen["node, prefetch, stub" if gateway else "node, prefetch"][0]
        processes, confirm = self.chosen[f"node, {kind}"][0], kind != "unconfirmed"
        return Node(self.folder, queue_type, processes, prefetch, confirm)

    def django(self, kind="accepted", gateway=False, confirm=False):
        pool, prefetch = self.chosen["django, pool, stub" if gateway else "django, pool"]
        return Django(self.folder, self.chosen[f"django, {kind}"][0], pool, prefetch, confirm)

    def accepting(self):
        """Sides, and over how many connections they are asked."""
        for queue_type in QUEUE_TYPES:
            for side, program in self.builds().items():
                ours = Ours(self.folder, queue_type, program=program)
                yield f"{side}, {queue_type}", ours, CONNECTIONS[-1]
            for side, kind in (("node", "accepted"), ("node, unconfirmed", "unconfirmed")):
                connections = self.chosen[f"node, {kind}"][1]
                yield f"{side}, {queue_type}", self.node(queue_type, kind), connections
        connections = self.chosen["django, accepted"][1]
        yield "django, unconfirmed", self.django(), connections
        yield "django", self.django(confirm=True), connections
        for what in ("publish", "script", "http"):
            yield f"limit: {what}", Limit(self.folder, what), CONNECTIONS[-1]

    def throttling(self):
        connections = self.chosen["ours, throttled"][0]
        for side, program in self.builds().items():
            yield side, Ours(self.folder, program=program), connections
        yield "node", self.node(kind="throttled"), self.chosen["node, throttled"][1]
        yield "django", self.django("throttled"), self.chosen["django, throttled"][1]
        yield "limit: script", Limit(self.folder, "script"), connections

    def working(self, gateway):
        for queue_type in QUEUE_TYPES:
            yield f"ours, {queue_type}", Ours(self.folder, queue_type)
            yield f"node, {queue_type}", self.node(queue_type, gateway=gateway)
        yield "django", self.django(gateway=gateway)
        if not gateway:
            yield "limit: consume", Limit(self.folder, "")

    def requests_round(self):
        for side, stack, connections in self.accepting():
            memory = not isinstance(stack, Limit)
            self.requests(stack, side, "accepted", connections, memory=memory)
        for side, stack, connections in self.throttling():
            self.requests(stack, side, "throttled", connections)

    # The cost of the limits and of the conversion guard.

    def guard_round(self):
        for side, variables in GUARDS.items():
            ours = Ours(self.folder, variables=variables)
            self.requests(ours, side, "accepted", CONNECTIONS[-1], learned)

    # The time of answers that must not tell what is known of a number or an id.

    def timing_round(self):
        clean(self.broker)
        # A quorum queue's write to the disk would take longer than all the rest.
        variables = {"LIMITS": "off", "RESEND_INTERVAL": "1"}
        with Ours(self.folder, "classic", variables).web() as web:
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
        """Queues at least so many jobs, and says how many."""
        if isinstance(stack, Django):
            body, properties = celery_message()
            self.broker.fill(stack.queue, body, count, **properties)
        elif isinstance(stack, Node):
            body = b'{"mobile":"13800138000","code":"123456"}'
            arguments = {"x-queue-type": stack.queue_type}
            self.broker.fill(stack.queue, body, count, arguments)
        elif isinstance(stack, Limit):
            self.broker.fill(stack.queue, b"x" * 200, count)
        else:
            jobs = 0
            with stack.web() as web:
                web.wait_until_answered(web.first)
                while jobs < count:
                    jobs += self.wrk(web, stack, "accepted", CONNECTIONS[-1])[1]
            return jobs
        return count

    def drain(self, stack, gateway, count):
        """Jobs a second from nine tenths to one tenth of a backlog, and the CPU µs for each."""
        clean(self.broker)
        jobs = self.fill(stack, count)
        # A message may have several jobs.
        messages, samples = self.broker.depth(stack.queue), []
        with contextlib.ExitStack() as started:
            stub = started.enter_context(self.nginx()).address if gateway else None
            worker = started.enter_context(stack.worker(stub))
            while not samples or samples[-1][1] > 0.1 * messages:
                depth = self.broker.depth(stack.queue)
                if depth <= 0.9 * messages:
                    samples.append((time.monotonic(), depth, worker.cpu()))
                worker.check()
                time.sleep(0.02)
        (start, most, cpu), (end, least, cpu_end) = samples[0], samples[-1]
        done = (most - least) / messages * jobs
        return done / (end - start), (cpu_end - cpu) / done * 1e6

    def drain_round(self):
        for gateway in (False, True):
            what = "an HTTP stub" if gateway else "no gateway"
            for side, stack in self.working(gateway):
                rate, cpu = self.drain(stack, gateway, BACKLOG[type(stack)][gateway])
                self.keep(f"jobs/s of one worker, {what}", side, rate)
                self.keep(f"worker CPU per job, {what} (µs)", side, cpu)

    # Latency at fixed rates.

    def latency_round(self):
        for rate in (100, 1000):
            for side, stack in self.working(gateway=True):
                self.latency(stack, side, rate)

    def latency(self, stack, side, rate):
        clean(self.broker)
        gateway = f"127.0.0.1:{free_port()}"
        asked = "ours" if isinstance(stack, Ours) else "peer"
        with stack.web() as web, stack.worker(gateway) as worker:
            web.wait_until_answered(web.first)
            wait_for_consumer(self.broker, stack.queue, worker)
            first = str(numbers(rate * 5))
            command = [binary("load"), str(rate), "5", asked, web.url, gateway, first]
            report = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
        lost = report["asked"] - report["accepted"]
        if lost or report["arrived"] < report["asked"]:
            print(f"    {side} at {rate}/s: {report}", flush=True)
        for percentile in ("p50", "p99"):
            for to, times in (("the answer", "answer"), ("the gateway", "arrival")):
                self.keep(
                    f"{percentile} to {to} at {rate}/s (ms)", side, report[times][percentile] or 0
                )

    def start_round(self):
        for side, stack in (
            ("ours", Ours(self.folder)),
            ("node", self.node()),
            ("django", self.django()),
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

    # Once, under valgrind: what repeats to the instruction. Allocations are those of a build
    # without mimalloc, whose calls valgrind does not see.

    def valgrind(self):
        def total(program, tool, pattern, seconds):
            clean(self.broker)
            prefix = ["valgrind", f"--tool={tool}", f"--{tool}-out-file=/dev/null"]
            with Ours(self.folder, program=program).web(prefix) as web:
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
            for side, program in self.builds().items():
                if tool == "dhat" and side == "ours":
                    program = f"{TARGET}/profile/release/sms-verify"
                few, before = total(program, tool, pattern, 2)
                many, after = total(program, tool, pattern, 22)
                for figure, less, more in zip(figures, before, after):
                    self.keep(figure, side, (more - less) / (many - few))


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


def wait_for_consumer(broker, queue, worker):
    while True:
        worker.check()
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
            print("choosing each side's best", flush=True)
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
