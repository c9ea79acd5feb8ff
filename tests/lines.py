"""Checks the width of lines and the first words of Rust's doc comments. Run by tests/lint.

    python3 tests/lines.py --questions PERCENT

A wide East Asian character counts as two.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys
import unicodedata

WIDTH = 100
CODE = {".css", ".html", ".js", ".lua", ".mjs", ".py", ".rs", ".sh"}
OTHERS = {".md", ".service", ".toml", ".txt", ".yaml", ".yml"}
# Lines that must stay long, by their file and an expression.
EXCEPTIONS = {
    # A string in JSON cannot be broken.
    "template.yaml": re.compile(r"SEARCH\("),
}
# Written by a program.
GENERATED = {"Cargo.lock", "package-lock.json"}
QUESTION = re.compile(r"(What|Whether|Where|Who|Whose|Whom|How|When|Which)\b")
URL = re.compile(r"https?://[^\s\"'`<>)\]]+")


def files():
    """Every text file of the project, committed or not yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in listed.splitlines():
        path = pathlib.Path(name)
        if path.name in GENERATED or not path.is_file():
            continue
        if path.suffix in CODE | OTHERS or path.name in ("Dockerfile", "justfile"):
            yield name, path.read_text().splitlines()
        elif not path.suffix and (text := path.read_bytes()).startswith(b"#!"):
            yield name, text.decode().splitlines()


def width(line):
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in line
    )


def is_one_url(line):
    """No line break would help: the URL alone, at this indentation, is too long."""
    indent = len(line) - len(line.lstrip(" \t#/*!-"))
    return any(indent + width(url) > WIDTH for url in URL.findall(line))


def long_lines(name, lines):
    """The numbers of lines that are too long, but for Markdown's tables and blocks of code."""
    fenced = False
    for number, line in enumerate(lines, 1):
        if name.endswith(".md"):
            if re.match(r" *(```|~~~)", line):
                fenced = not fenced
            if fenced or line.lstrip(" >").startswith("|"):
                continue
        if width(line) > WIDTH and not is_one_url(line):
            yield number


def doc_comments(lines):
    """The first line of each doc comment."""
    within = None
    for line in lines:
        found = re.match(r"\s*(///|//!)(?: (.*))?$", line)
        if found and found[1] != within and found[2]:
            yield found[2]
        within = found and found[1]


def folder(name):
    """The crate, or the folder, that a count is shown for."""
    parts = name.split("/")
    return "/".join(parts[: 2 if parts[0] in ("shared", "functions", "tests") else 1])


def check_width(sources):
    wrong = 0
    for name, lines in sources:
        for number in long_lines(name, lines):
            if name in EXCEPTIONS and EXCEPTIONS[name].search(lines[number - 1]):
                continue
            wrong += 1
            print(f"{name}:{number}: {width(lines[number - 1])} columns, more than {WIDTH}")
    return wrong


def check_questions(sources, limit):
    comments, questions, worst = (collections.Counter() for _ in range(3))
    for name, lines in sources:
        if name.endswith(".rs"):
            firsts = list(doc_comments(lines))
            count = sum(1 for first in firsts if QUESTION.match(first))
            comments[folder(name)] += len(firsts)
            questions[folder(name)] += count
            worst[name] = count
    share = 100 * questions.total() / comments.total()
    print(
        f"{questions.total()} of {comments.total()} doc comments begin with a question word: "
        f"{share:.1f} %, of {limit} % allowed"
    )
    for name, count in questions.most_common():
        if count:
            print(f"  {name:24} {count:4} of {comments[name]:4}")
    print("  most:", ", ".join(f"{name} {count}" for name, count in worst.most_common(5)))
    return share > limit


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=float, required=True)
    arguments = parser.parse_args()
    sources = list(files())
    wrong = check_width(sources)
    return bool(check_questions(sources, arguments.questions) or wrong)


sys.exit(main())
