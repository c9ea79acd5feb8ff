"""Writes what bench/measure.py measured between the markers of two documents, and draws a plot.

The sides and the goals are in docs/operations/performance.md, all figures in
docs/results/measurements.md, and the plot is docs/results/performance.svg.
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
COLOURS = {"ours": "#1a7f37", "node": "#bf8700", "django": "#8c959f", "limit": "#0969da"}
QUEUES = {"quorum": "quorum queue", "classic": "classic queue"}


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


def sides(results):
    """A row for each side that accepts requests: its rate, CPU for each request, and memory."""
    columns = [
        "accepted requests/s",
        *(f"{name} CPU per accepted request (µs)" for name in ("server", "Redis", "RabbitMQ")),
        "resident memory, api + worker (MB)",
    ]
    names = {
        **{f"ours, {queue}": f"sms-verify, {text}" for queue, text in QUEUES.items()},
        **{f"node, {queue}": f"Node, {text}" for queue, text in QUEUES.items()},
        **{
            f"node, unconfirmed, {queue}": f"Node, unconfirmed, {text}"
            for queue, text in QUEUES.items()
        },
        "django": "Django and Celery, classic queue",
        "django, unconfirmed": "Django and Celery, unconfirmed, classic queue",
        "limit: publish": "bare axum, script and confirmed publish, classic queue",
        "limit: script": "bare axum and script",
        "limit: http": "bare axum",
        **{f"baseline, {queue}": f"the earlier build, {text}" for queue, text in QUEUES.items()},
    }
    for side, name in names.items():
        values = [results.get(column, {}).get(side) for column in columns]
        if values[0]:
            figures = " | ".join(shown(median(each)) if each else "" for each in values)
            yield f"| {name} | {figures} |"


def goals(results):
    """Rows of figure, ours, theirs, ratio, goal. A ratio is the median of the rounds' ratios.

    Without a figure there is no row: an earlier build need not take part.
    """

    def row(name, figure, ours, theirs, least=None, most=None):
        mine, other = (results.get(figure, {}).get(side) for side in (ours, theirs))
        if not mine or not other:
            return
        ratio = median([a / b for a, b in zip(mine, other)])
        goal = f"≥ {shown(least)}" if least else f"≤ {shown(most)}"
        is_met = ratio >= least if least else ratio <= most
        figures = f"{shown(median(mine))} | {shown(median(other))}"
        yield f"| {name} | {figures} | {shown(ratio)} | {goal} | {met(is_met)} |"

    accepted, throttled = "accepted requests/s", "throttled requests/s"
    for queue, text in QUEUES.items():
        name = f"{accepted} : Node, both confirmed, {text}"
        yield from row(name, accepted, f"ours, {queue}", f"node, {queue}", least=2)
    yield from row(
        f"{accepted}, confirmed : Django and Celery, unconfirmed, classic queue",
        accepted,
        "ours, classic",
        "django, unconfirmed",
        least=15,
    )
    yield from row(f"{throttled} : Node", throttled, "ours", "node", least=2)
    yield from row(f"{throttled} : Django", throttled, "ours", "django", least=10)

    # Beside an earlier build: what a request costs.
    def cheaper(figure, side, most, text=""):
        build = f"ours{side}", f"baseline{side}"
        yield from row(f"{figure}{text} : the earlier build", figure, *build, most=most)

    yield from cheaper("Redis CPU per accepted request (µs)", ", quorum", 0.25)
    yield from cheaper("Redis CPU per throttled request (µs)", "", 0.1, ", one number")
    yield from cheaper("server CPU per accepted request (µs)", ", quorum", 0.5)
    yield from cheaper("allocations per accepted request", "", 1 / 3)
    yield from cheaper("bytes allocated per accepted request", "", 1 / 3)
    for queue, text in QUEUES.items():
        figure = "RabbitMQ CPU per accepted request (µs)"
        yield from cheaper(figure, f", {queue}", 0.2, f", {text}")

    # A worker: more than Celery's by so much, and than Node's.
    for gateway, celery, node in (("no gateway", 8, 0.8), ("an HTTP stub", 12, 2)):
        figure = f"jobs/s of one worker, {gateway}"
        name = f"{figure} : Celery, classic queue"
        yield from row(name, figure, "ours, classic", "django", least=celery)
        for queue, text in QUEUES.items():
            name = f"{figure} : Node, {text}"
            yield from row(name, figure, f"ours, {queue}", f"node, {queue}", least=node)
    yield from cheaper("resident memory, api + worker (MB)", ", quorum", 0.6)
    figure = "p99 to the answer at 100/s (ms)"
    for queue, text in QUEUES.items():
        name = f"{figure} : Django on a classic queue, ours on a {text}"
        yield from row(name, figure, f"ours, {queue}", "django", most=0.8)


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
    django = ", ".join(
        f"{name} {packages[name]}" for name in ("django", "celery", "granian", "gunicorn", "gevent")
    )
    with open(f"{HERE}/peer/node/package.json", encoding="utf-8") as file:
        packages = json.load(file)["dependencies"]
    node = ", ".join(f"{name} {version}" for name, version in packages.items())
    rabbitmq = line(
        "dpkg-query", "--show", "--showformat", "RabbitMQ ${Version}", "rabbitmq-server"
    )
    machine = f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}"
    redis = line("redis-server", "--version").split(" sha")[0]
    wrk = line("wrk", "-v").split(" Copy")[0]
    return (
        f"{machine}, Linux {platform.release()}; {line('rustc', '--version')}; {redis}; "
        f"{rabbitmq}; {wrk}; Node {line('node', '--version').removeprefix('v')}, {node}; "
        f"Python {platform.python_version()}, {django}"
    )


def plot(results):
    # All on a classic queue. Celery accepts more unconfirmed, as it does by default.
    accepted, jobs = "accepted requests/s", "jobs/s of one worker, "
    queue, unnamed = ("ours, classic", "node, classic", "django"), ("ours", "node", "django")
    panels = [
        (
            "Accepted requests/s",
            accepted,
            ("ours, classic", "node, classic", "django, unconfirmed", "limit: publish"),
        ),
        ("Throttled requests/s", "throttled requests/s", (*unnamed, "limit: script")),
        ("Jobs/s of one worker", f"{jobs}no gateway", (*queue, "limit: consume")),
        ("… calling an HTTP stub", f"{jobs}an HTTP stub", queue),
    ]
    labels = {
        "ours": "sms-\nverify",
        "node": "Node",
        "django": "Django,\nCelery",
        "limit": "parts\nalone",
    }
    pyplot.rcParams.update(
        {"svg.hashsalt": "sms-verify", "font.size": 9, "font.family": "sans-serif"}
    )
    figure, axes = pyplot.subplots(1, len(panels), figsize=(11, 3))
    for axis, (title, name, bars) in zip(axes, panels):
        bars = [side for side in bars if side in results.get(name, {})]
        kinds = [re.split("[,:]", side)[0] for side in bars]
        for index, (side, kind) in enumerate(zip(bars, kinds)):
            values = results[name][side]
            middle = median(values)
            error = [[middle - min(values)], [max(values) - middle]]
            axis.bar(index, middle, yerr=error, capsize=3, color=COLOURS[kind], width=0.7)
            axis.text(index, max(values), f" {shown(middle)}", ha="center", va="bottom")
        axis.set_xticks(range(len(bars)), [labels[kind] for kind in kinds])
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
    results["size, zipped (MB)"] = {name: [zipped(name) / 1e6] for name in FUNCTIONS}
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
            f"Each side's best, chosen by trying each: {best} (numbers behind servers and "
            "processes are connections, behind pools the prefetch)."
        ),
    ]
    wrapped = (textwrap.fill(each, 100, break_on_hyphens=False) for each in paragraphs)
    header = "| figure | side | median (lowest–highest) |\n|---|---|---|"
    between_markers(
        f"{DOCS}/results/measurements.md",
        "\n\n".join([*wrapped, "\n".join([header, *details(results)])]),
    )
    header = (
        "| side | accepted/s | server CPU µs | Redis CPU µs | RabbitMQ CPU µs | memory MB |\n"
        "|---|---|---|---|---|---|"
    )
    goals_header = (
        "| figure | sms-verify | against | ratio | goal | met |\n|---|---|---|---|---|---|"
    )
    between_markers(
        f"{DOCS}/operations/performance.md",
        "\n".join([header, *sides(results), "", goals_header, *goals(results)]),
    )
    plot(results)


main()
