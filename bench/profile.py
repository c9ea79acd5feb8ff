"""Profiles an accepted request, in sms-verify and in the parts by themselves: samples of perf, by
the library of the innermost function. Prints the rows of the table in docs/results/measurements.md.
"""

import collections
import os
import re
import subprocess
import tempfile

import stacks
from stacks import HERE, TARGET, Broker, Limit, Ours, clean, numbers

SECONDS, CONNECTIONS, ROUNDS = 4, 256, 3
# The libraries of each purpose. Others are "the rest".
PURPOSES = {
    "the kernel": ["kernel"],
    "allocating and freeing": ["malloc"],
    "copying and clearing memory": ["memory"],
    "tokio": ["tokio", "mio", "futures_util", "futures_channel", "parking_lot", "flume"],
    "HTTP": [
        "axum",
        "axum_core",
        "axum_server",
        "hyper",
        "hyper_util",
        "http",
        "http_body",
        "httparse",
        "matchit",
        "tower",
        "bytes",
        "itoa",
    ],
    "Redis": ["redis", "combine", "tokio_util", "sha1_smol", "arc_swap", "backon"],
    "RabbitMQ": [
        "lapin",
        "amq_protocol",
        "amq_protocol_types",
        "cookie_factory",
        "nom",
        "async_rs",
        "internal_rpc",
    ],
    "phone numbers": ["rlibphonenumber", "regex_automata", "regex", "aho_corasick", "regex_syntax"],
    "JSON": ["serde_json", "serde", "serde_core"],
    "hashes of numbers and codes": ["sha2", "hmac", "digest", "block_buffer"],
    "sms-verify itself": [
        "sms_app",
        "sms_config",
        "sms_domain",
        "sms_gateways",
        "sms_http",
        "sms_outbound",
        "sms_queue",
        "sms_store",
        "sms_telemetry",
        "sms_verify",
    ],
}


def purpose(library, symbol):
    """`library` is a file, `symbol` a function in it, as perf names them."""
    if library.startswith("[kernel"):
        name = "kernel"
    elif library.startswith("libc"):
        allocates = re.search("alloc|free|unlink_chunk|arena", symbol)
        name = "malloc" if allocates else "memory" if "mem" in symbol else "libc"
    else:
        crate = re.search(r"(?:<|^|&|dyn )([a-z_0-9]+)::", symbol)
        name = crate[1] if crate else "malloc" if re.match("_?mi_", symbol) else symbol
    return next((purpose for purpose, names in PURPOSES.items() if name in names), "the rest")


def shares(recording):
    command = [
        "perf",
        "report",
        "-i",
        recording,
        "--stdio",
        "--percent-limit",
        "0",
        "--sort",
        "dso,symbol",
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = collections.Counter()
    for share, library, symbol in re.findall(
        r"^\s+([\d.]+)%\s+(\S+)\s+\[.\]\s+(.*\S)", text, re.MULTILINE
    ):
        found[purpose(library, symbol)] += float(share) / 100
    return found


def load(web, seconds):
    """Requests that were accepted."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}",
        "-s",
        f"{HERE}/wrk/ours.lua",
        web.url,
    ]
    environment = {**os.environ, "FIRST": str(numbers(400_000))}
    text = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
    if "Non-2xx" in text:
        raise RuntimeError(text)
    return int(re.search(r"(\d+) requests in", text)[1])


def measure(side, folder):
    """µs of the server's processor per request, by purpose."""
    recording = f"{folder}/perf"
    with side.web() as web:
        web.wait_until_answered(web.first)
        load(web, 1)
        record = [
            "perf",
            "record",
            "--quiet",
            "-F",
            "4000",
            "-o",
            recording,
            "-p",
            str(web.child.pid),
            "sleep",
            str(SECONDS - 1),
        ]
        before = web.cpu()
        with subprocess.Popen(record):
            count = load(web, SECONDS)
        each = (web.cpu() - before) / count * 1e6
    return {name: share * each for name, share in shares(recording).items()}


def main():
    # Built with the functions' names in it, on both sides.
    stacks.binary = lambda name: f"{TARGET}/profile/release/{name}"
    broker, found = Broker(), (collections.Counter(), collections.Counter())
    os.makedirs(f"{TARGET}/bench", exist_ok=True)
    with tempfile.TemporaryDirectory(dir=f"{TARGET}/bench") as folder:
        for _ in range(ROUNDS):
            for side, sums in zip(
                (Ours(folder, "classic"), Limit(folder, "publish")), found, strict=True
            ):
                clean(broker)
                for name, cost in measure(side, folder).items():
                    sums[name] += cost / ROUNDS
        clean(broker)
    ours, parts = found
    print("| µs a request | sms-verify | the parts | more |\n|---|---|---|---|")
    for name in sorted(set(ours) | set(parts), key=lambda name: parts[name] - ours[name]):
        print(
            f"| {name} | {ours[name]:.1f} | {parts[name]:.1f} | {ours[name] - parts[name]:+.1f} |"
        )
    print(
        f"| together | {ours.total():.1f} | {parts.total():.1f} "
        f"| {ours.total() - parts.total():+.1f} |"
    )


main()
