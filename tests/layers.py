"""Checks that each crate of shared/ depends on lower layers only. Run by tests/lint.

The layers are those of docs/reference/architecture.md. That there is no circle, Cargo sees to.
"""

import pathlib
import sys
import tomllib

LAYERS = [
    {"domain"},
    {"telemetry", "outbound"},
    {"store", "queue", "gateways"},
    {"app"},
    {"http"},
    {"config", "lambda"},
]
# Clients, servers and runtimes: the domain does no I/O.
NOT_IN_THE_DOMAIN = ("aws", "axum", "hyper", "lapin", "redis", "reqwest", "tokio", "tower")


def main():
    layer_of = {name: layer for layer, names in enumerate(LAYERS) for name in names}
    crates = {path.parent.name: path for path in pathlib.Path("shared").glob("*/Cargo.toml")}
    wrong = [f"{name}: has no layer here" for name in sorted(crates.keys() ^ layer_of.keys())]
    for name, path in sorted(crates.items()):
        dependencies = tomllib.loads(path.read_text("utf-8"))["dependencies"]
        for dependency in dependencies:
            other = dependency.removeprefix("sms-")
            if other in layer_of and layer_of[other] >= layer_of.get(name, 0):
                wrong.append(f"{path}: {dependency} is not in a lower layer")
            if name == "domain" and dependency.startswith(NOT_IN_THE_DOMAIN):
                wrong.append(f"{path}: {dependency} does I/O")
    for line in wrong:
        print(line)
    return bool(wrong)


sys.exit(main())
