"""Measures the cost of an accepted request with few and with many verifications in Redis and jobs
in the queue, and the memory of a verification. Prints the rows of the tables in
docs/results/measurements.md.
"""

import os
import re
import subprocess
import tempfile

import psutil
import redis

from stacks import HERE, QUEUE, REDIS_URL, TARGET, Broker, Ours, binary, clean, numbers

SECONDS = 5
CONNECTIONS = 64
# Records of numbers, which live for a day, by the product's own script: the entry that it writes is
# the one that counts.
FILL = """
local admit = loadstring('local KEYS, ARGV = ... ' .. ARGV[1])
for i = ARGV[2], ARGV[3] do
  local tag = string.format('%020x', i)
  local id = string.format('%036x', i)
  admit({'sms-verify:number:{' .. tag .. '}'}, {id, '', '+86*******8000', ''})
end
"""
CHUNK = 10_000


def fill(store, count):
    command = [binary("limits"), "source"]
    source = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    script = store.register_script(FILL)
    for first in range(0, count, CHUNK):
        script(args=[source, first, min(first + CHUNK, count) - 1])


def measure(broker, folder):
    """Requests a second, and processor µs per request of Redis, of its script, and of the API."""
    store, ours = redis.Redis.from_url(REDIS_URL), Ours(folder, "classic")
    server = psutil.Process(store.info("server")["process_id"])
    with ours.web() as web:
        web.wait_until_answered(web.first)
        run(web, ours, 1)
        store.config_resetstat()
        before, web_before = sum(server.cpu_times()[:2]), web.cpu()
        count, took = run(web, ours, SECONDS)
        script = store.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
        redis_cpu = (sum(server.cpu_times()[:2]) - before) / count * 1e6
        return count / took, redis_cpu, script, (web.cpu() - web_before) / count * 1e6


def run(web, ours, seconds):
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}",
        "-s",
        f"{HERE}/wrk/{ours.script('accepted')}",
        web.url,
    ]
    environment = {**os.environ, "FIRST": str(numbers(400_000))}
    text = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
    asked, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    if "Non-2xx" in text:
        raise RuntimeError(text)
    return int(asked), float(took)


def main():
    broker, store = Broker(), redis.Redis.from_url(REDIS_URL)
    # Ten million entries would be written to the disk as well, which is not what is measured.
    store.config_set("appendonly", "no")
    os.makedirs(f"{TARGET}/bench", exist_ok=True)
    with tempfile.TemporaryDirectory(dir=f"{TARGET}/bench") as folder:
        print(
            "| live verifications | accepted/s | Redis CPU µs | its script µs | API CPU µs "
            "| bytes each |"
        )
        for count in (1_000, 100_000, 10_000_000):
            clean(broker)
            empty = store.info("memory")["used_memory"]
            fill(store, count)
            each = (store.info("memory")["used_memory"] - empty) / count
            rate, redis_cpu, script, api = measure(broker, folder)
            print(
                f"| {count:,} | {rate:,.0f} | {redis_cpu:.1f} | {script:.1f} | {api:.1f} "
                f"| {each:.0f} |",
                flush=True,
            )
        print("| queued jobs | accepted/s | Redis CPU µs | its script µs | API CPU µs |")
        for count in (10, 1_000, 100_000):
            clean(broker)
            broker.fill(QUEUE, b"x" * 200, count)
            rate, redis_cpu, script, api = measure(broker, folder)
            print(
                f"| {count:,} | {rate:,.0f} | {redis_cpu:.1f} | {script:.1f} | {api:.1f} |",
                flush=True,
            )
        clean(broker)
    store.config_set("appendonly", "yes")


main()
