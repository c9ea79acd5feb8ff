"""Writes what bench/measure.py measured between the markers of two documents, and draws a plot.

The goals are in docs/operations/performance.md, all figures in docs/results/measurements.md, and
the plot is docs/results/performance.svg.
"""

import io
import json
import os
import platform
import re
import statistics
import subprocess
import textwrap
import zipfile

import matplotlib

from stacks import HERE, TARGET, binary

matplotlib.use("svg")
from matplotlib import pyplot

DOCS = os.path.join(os.path.dirname(HERE), "docs")
FUNCTIONS = ("request-code", "check-code", "send-sms")
COLOURS = {"ours": "#1a7f37", "peer": "#8c959f", "limit": "#0969da"}


def median(values):
    return statistics.median(values)


def shown(value):
    """Three digits that count."""
    if value >= 100:
        return (
            f"{round(value, 2 - len(str(int(value)))) if value < 1000 else round(value, -1):,.0f}"
        )
    return f"{value:.3g}"


def spread(values):
    text = shown(median(values))
    return f"{text} ({shown(min(values))}–{shown(max(values))})" if len(values) > 1 else text


def zipped(function):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(binary(function), "bootstrap")
    return len(buffer.getvalue())


def met(is_met):
    return "yes" if is_met else "**no**"


def goals(results):
    """Rows of figure, ours, theirs, ratio, goal. A ratio is the median of the rounds' ratios."""

    def row(name, figure, ours, theirs, goal, inverse=False, unit=""):
        mine, other = results[figure][ours], results[figure][theirs]
        ratios = [b / a if inverse else a / b for a, b in zip(mine, other)]
        ratio = median(ratios)
        text = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"
        figures = f"{shown(median(mine))}{unit} | {shown(median(other))}{unit}"
        return f"| {name} | {figures} | {text} | {goal} | {met(ratio >= goal)} |"

    yield row(
        "accepted requests/s, confirmed and durable : peer, unconfirmed",
        "accepted requests/s",
        "ours",
        "peer",
        5,
    )
    yield row("throttled requests/s : peer", "throttled requests/s", "ours", "peer", 6)
    cpu = "server CPU per accepted request (µs)"
    yield row("server CPU per accepted request, peer : ours", cpu, "ours", "peer", 15, True, " µs")
    yield row(
        "accepted requests/s : bare axum + script + confirmed publish",
        "accepted requests/s",
        "ours",
        "limit: publish",
        0.85,
    )
    yield row(
        "accepted requests/s with the conversion guard : without",
        "accepted requests/s",
        "limits and guard",
        "limits, GUARD=off",
        0.85,
    )
    yield row(
        "jobs/s of one worker, no gateway : Celery",
        "jobs/s of one worker, no gateway",
        "ours",
        "peer",
        3,
    )
    yield row(
        "jobs/s of one worker, HTTP stub : Celery",
        "jobs/s of one worker, an HTTP stub",
        "ours",
        "peer",
        5,
    )
    yield row(
        "resident memory, peer : ours",
        "resident memory, web + worker (MB)",
        "ours",
        "peer",
        8,
        True,
        " MB",
    )
    for function in FUNCTIONS:
        size = zipped(function)
        figure = f"{size / 1e6:.2f} MB"
        yield f"| `{function}`, zipped | {figure} | | | under 5 MB | {met(size < 5e6)} |"


def details(results):
    for figure, sides in results.items():
        for side, values in sides.items():
            yield f"| {figure} | {side} | {spread(values)} |"


def versions():
    def line(*command):
        text = subprocess.run(command, capture_output=True, text=True, check=False)
        return (text.stdout or text.stderr).strip().splitlines()[0]

    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    packages = subprocess.run(
        [f"{TARGET}/bench-tools/bin/pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    packages = {
        package["name"].lower(): package["version"] for package in json.loads(packages.stdout)
    }
    peer = ", ".join(
        f"{name} {packages[name]}" for name in ("django", "celery", "granian", "gunicorn", "gevent")
    )
    rabbitmq = line(
        "dpkg-query", "--show", "--showformat", "RabbitMQ ${Version}", "rabbitmq-server"
    )
    machine = f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}"
    redis = line("redis-server", "--version").split(" sha")[0]
    wrk = line("wrk", "-v").split(" Copy")[0]
    return (
        f"{machine}, Linux {platform.release()}; {line('rustc', '--version')}; {redis}; "
        f"{rabbitmq}; {wrk}; Python {platform.python_version()}, {peer}"
    )


def plot(results):
    panels = [
        ("Accepted requests/s", "accepted requests/s", "limit: publish"),
        ("Throttled requests/s", "throttled requests/s", "limit: script"),
        ("Jobs/s of one worker", "jobs/s of one worker, no gateway", "limit: consume"),
        ("… calling an HTTP stub", "jobs/s of one worker, an HTTP stub", None),
    ]
    pyplot.rcParams.update(
        {"svg.hashsalt": "sms-verify", "font.size": 9, "font.family": "sans-serif"}
    )
    figure, axes = pyplot.subplots(1, len(panels), figsize=(11, 3))
    for axis, (title, name, limit) in zip(axes, panels):
        bars = [("ours", "sms-verify"), ("peer", "Django +\nCelery")] + (
            [(limit, "parts\nalone")] if limit else []
        )
        for index, (side, label) in enumerate(bars):
            values = results[name][side]
            middle = median(values)
            error = [[middle - min(values)], [max(values) - middle]]
            axis.bar(
                index, middle, yerr=error, capsize=3, color=COLOURS[side.split(":")[0]], width=0.7
            )
            axis.text(index, max(values), f" {shown(middle)}", ha="center", va="bottom")
        axis.set_xticks(range(len(bars)), [label for _, label in bars])
        axis.set_title(title)
        axis.set_yticks([])
        axis.margins(y=0.15)
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(f"{DOCS}/results/performance.svg", metadata={"Date": None})


def between_markers(path, text):
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split("<!-- measured -->\n", 1)
    after = rest.split("<!-- end -->\n", 1)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}<!-- measured -->\n{text}\n<!-- end -->\n{after}")


def main():
    with open(f"{TARGET}/bench/results.json", encoding="utf-8") as file:
        measured = json.load(file)
    results, chosen = measured["results"], measured["chosen"]
    best = "; ".join(
        f"{key}: {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in chosen.items()
    )
    paragraphs = [
        (
            f"Medians of {measured['rounds']} rounds; in brackets the lowest and the highest. "
            f"{versions()}."
        ),
        (
            f"The peer's best, chosen by trying each: {best} (numbers behind servers are "
            "connections, behind pools the prefetch)."
        ),
    ]
    wrapped = (textwrap.fill(each, 100, break_on_hyphens=False) for each in paragraphs)
    header = "| figure | side | median (lowest–highest) |\n|---|---|---|"
    between_markers(
        f"{DOCS}/results/measurements.md",
        "\n\n".join([*wrapped, "\n".join([header, *details(results)])]),
    )
    header = "| goal | sms-verify | against | ratio | goal | met |\n|---|---|---|---|---|---|"
    between_markers(f"{DOCS}/operations/performance.md", "\n".join([header, *goals(results)]))
    plot(results)


main()
