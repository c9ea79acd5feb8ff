"""Starts the stacks, and the parts by themselves; fills and watches their queues."""

import os
import time
import urllib.request

import amqp
import redis

from processes import Process, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(os.path.dirname(HERE), "target")
TOOLS = os.path.join(TARGET, "bench-tools", "bin")
# A folder with the `sms-verify` of an earlier build.
BASELINE = os.environ.get("BASELINE")

REDIS_URL = os.environ["REDIS_URL"]
AMQP_URL = os.environ["QUEUE_URL"]
QUEUE = "bench"
SECRET = "a secret of thirty-two characters"
# The next number that was not asked for since the store was emptied.
FIRST_NUMBER = 3_800_000_000
_numbers = FIRST_NUMBER


def numbers(count):
    """The first of so many numbers that were not asked for since the store was emptied."""
    global _numbers
    _numbers += count
    return _numbers - count


def binary(name):
    """The build for Lambda: it differs in nothing but the version of the C library."""
    return os.path.join(TARGET, "lambda", name, "bootstrap")


class Broker:
    """The queues, by a client of their own."""

    def __init__(self):
        address = AMQP_URL.split("@")[1].split("/")[0]
        self.connection = amqp.Connection(
            host=address, userid="guest", password="guest", heartbeat=0
        )
        self.connection.connect()
        self.channel = self.connection.channel()

    def delete_all(self):
        ours = (QUEUE, f"{QUEUE}.dead", f"{QUEUE}.wait.3s", f"{QUEUE}.wait.1s")
        for queue in (*ours, Django.queue, Node.queue):
            self.channel.queue_delete(queue)

    def depth(self, queue):
        return self.channel.queue_declare(queue, passive=True).message_count

    def fill(self, queue, body, count, arguments=None, **properties):
        self.channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
        message = amqp.Message(body, delivery_mode=2, **properties)
        for _ in range(count):
            self.channel.basic_publish(message, routing_key=queue)
        while self.depth(queue) < count:
            time.sleep(0.05)


def clean(broker):
    """Empties both; every number is a new one again."""
    global _numbers
    _numbers = FIRST_NUMBER
    broker.delete_all()
    # Ten million entries take some seconds.
    redis.Redis.from_url(REDIS_URL, socket_timeout=60).flushall()


def learned():
    """Puts a base rate into the store: nine in ten codes of the country are typed back."""
    script = (
        "redis.call('SET', KEYS[1], cmsgpack.pack(2^52, 0, 0, "
        "10000, 9000, tonumber(redis.call('TIME')[1]), 0, '0', '0', '0', true, {}))"
    )
    redis.Redis.from_url(REDIS_URL).eval(script, 1, "sms-verify:conversion:CN")


def ask(url):
    """A request for a code, as the product takes it."""
    body, headers = b'{"to":"13700000000"}', {"Content-Type": "application/json"}
    return urllib.request.Request(f"{url}/v1/verifications", body, headers)


class Ours:
    """`sms-verify api` and `sms-verify worker`, as they are by default."""

    name = "sms-verify"
    queue = QUEUE

    def __init__(self, folder, queue_type="quorum", variables=None, program=None):
        self.folder, self.program = folder, program or binary("sms-verify")
        self.environment = {
            "REDIS_URL": REDIS_URL,
            "QUEUE_URL": f"{AMQP_URL}?queue={QUEUE}&type={queue_type}",
            "CODE_SECRET": SECRET,
            # The limits that there are by default, with room for as many numbers of one block as
            # are asked for here.
            "LIMITS": "prefix=3600000/hour",
            **(variables or {}),
        }

    def web(self, prefix=()):
        port = free_port()
        environment = {**self.environment, "LISTEN": f"127.0.0.1:{port}"}
        process = Process("api", [*prefix, self.program, "api"], environment, self.folder)
        process.url = f"http://127.0.0.1:{port}"
        process.first = ask(process.url)
        return process

    def worker(self, gateway=None):
        dsn = (
            f"ccp://sid:token@{gateway}?app_id=app&template=1&tls=false"
            if gateway
            else "null://default"
        )
        return Process(
            "worker",
            [self.program, "worker", "--concurrency", "1000"],
            {**self.environment, "SMS_DSN": dsn},
            self.folder,
        )

    @staticmethod
    def script(kind):
        return "ours.lua" if kind == "accepted" else "ours-throttled.lua"


# Servers and pools among which Django's and Celery's best is chosen, by measuring.
SERVERS = {
    "granian, 1 thread": [
        "granian",
        "--interface",
        "wsgi",
        "--workers",
        "2",
        "--blocking-threads",
        "1",
        "--no-ws",
    ],
    "granian, 4 threads": [
        "granian",
        "--interface",
        "wsgi",
        "--workers",
        "2",
        "--blocking-threads",
        "4",
        "--no-ws",
    ],
    "gunicorn gevent": ["gunicorn", "-w", "2", "-k", "gevent"],
    "gunicorn gthread, 2 threads": ["gunicorn", "-w", "2", "-k", "gthread", "--threads", "2"],
    "gunicorn gthread, 8 threads": ["gunicorn", "-w", "2", "-k", "gthread", "--threads", "8"],
}
# With the prefetches, for each of a pool's places, that are tried with it.
POOLS = {
    "solo": (["-P", "solo"], (4, 64)),
    "threads, 4": (["-P", "threads", "-c", "4"], (4, 16)),
    "gevent, 100": (["-P", "gevent", "-c", "100"], (1, 4)),
    "prefork, 2": (["-P", "prefork", "-c", "2"], (4, 64)),
}


class Django:
    """Django and Celery: peer/shop.py."""

    name = "Django + Celery"
    queue = "celery"

    def __init__(self, folder, server=None, pool=None, prefetch=64, confirm=False):
        self.folder, self.server, self.pool = (
            folder,
            server or next(iter(SERVERS)),
            pool or next(iter(POOLS)),
        )
        self.environment = {
            "REDIS_URL": REDIS_URL,
            "QUEUE_URL": AMQP_URL.replace("%2f", "/"),
            "PYTHONPATH": f"{HERE}/peer",
            "PREFETCH": str(prefetch),
            "CONFIRM": "1" if confirm else "0",
        }

    def web(self):
        port, command = free_port(), SERVERS[self.server]
        bind = ["--port", port] if command[0] == "granian" else ["-b", f"127.0.0.1:{port}"]
        command = [
            f"{TOOLS}/{command[0]}",
            *command[1:],
            *bind,
            "--log-level",
            "warning",
            "wsgi:application",
        ]
        process = Process("web", command, self.environment, self.folder)
        process.url = f"http://127.0.0.1:{port}"
        process.first = f"{process.url}/sms_codes/13700000000/"
        return process

    def worker(self, gateway=None):
        environment = {**self.environment, **({"CCP_URL": f"http://{gateway}"} if gateway else {})}
        quiet = [
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel",
            "warning",
        ]
        command = [f"{TOOLS}/celery", "-A", "shop:queue", "worker", *POOLS[self.pool][0], *quiet]
        return Process("celery", command, self.environment | environment, self.folder)

    @staticmethod
    def script(kind):
        return "peer.lua" if kind == "accepted" else "peer-throttled.lua"


# Numbers of processes, and prefetches without a gateway and with one, among which Node's best is
# chosen.
PROCESSES = (1, 2)
PREFETCHES = {False: (100, 1000), True: (64, 256)}


class Node:
    """Fastify, ioredis and amqplib: peer/node, copied to where its packages are."""

    name = "Node"
    queue = "sms_codes"

    def __init__(self, folder, queue_type="quorum", processes=1, prefetch=100, confirm=True):
        self.folder, self.queue_type = folder, queue_type
        self.processes, self.prefetch = processes, prefetch
        self.publishes = "confirmed" if confirm else "unconfirmed"
        self.environment = {
            "REDIS_URL": REDIS_URL,
            "QUEUE_URL": AMQP_URL,
            "NODE_ENV": "production",
        }

    def web(self):
        port = free_port()
        arguments = [port, self.processes, self.queue_type, self.publishes]
        process = self.node("server.mjs", arguments, {})
        process.url = f"http://127.0.0.1:{port}"
        process.first = f"{process.url}/sms_codes/13700000000/"
        return process

    def worker(self, gateway=None):
        variables = {"CCP_URL": f"http://{gateway}"} if gateway else {}
        return self.node("worker.mjs", [self.queue_type, self.prefetch], variables)

    def node(self, script, arguments, variables):
        command = ["node", f"{TARGET}/bench-node/{script}", *arguments]
        return Process(script, command, self.environment | variables, self.folder)

    script = staticmethod(Django.script)


class Limit:
    """The parts by themselves: see src/bin/limits.rs."""

    name = "limit"
    queue = QUEUE

    def __init__(self, folder, what):
        self.folder, self.what = folder, what
        self.environment = {
            "REDIS_URL": REDIS_URL,
            "QUEUE_URL": f"{AMQP_URL}?frame_max=8192",
            "QUEUE": QUEUE,
        }

    def web(self):
        port = free_port()
        environment = {**self.environment, "LISTEN": f"127.0.0.1:{port}"}
        process = Process("limit", [binary("limits"), self.what], environment, self.folder)
        process.url = f"http://127.0.0.1:{port}"
        process.first = ask(process.url)
        return process

    def worker(self, gateway=None):
        return Process("limit", [binary("limits"), "consume"], self.environment, self.folder)

    script = staticmethod(Ours.script)
