"""Holds the documents against the program.

    python tests/documents.py target/debug/sms-verify

Every link leads somewhere, and so does every document that is named anywhere in the tree; every
command of the program is one; every test that is named exists. What README and the guides tell
people to type is typed in (tests/typed.py) and answers what they show; nginx's lines are tried with
an nginx.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import typed

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
# Folders with what was built or loaded.
NOT_OURS = {".aws-sam", ".git", "__pycache__", "node_modules", "target"}
# Those that are followed to the letter.
GUIDES = ("local-mode", "functions", "from-meiduo", "from-celery", "from-twilio", "deploy")
TYPED = ["README.md", *(f"docs/guide/{name}.md" for name in GUIDES)]
# Those that show requests and answers.
SESSIONS = [
    "README.md",
    "README.zh-CN.md",
    "docs/guide/in-your-product.md",
    "docs/guide/doors.md",
]
ERRORS = []


def files(folder=ROOT):
    """All files of the tree."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in NOT_OURS:
                yield from files(path)
        else:
            yield path


def wrong(document, what):
    ERRORS.append(f"{document.relative_to(ROOT)}: {what}")


def anchors(text):
    """The names of a document's headings, as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(document, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists():
            wrong(document, f"{target} leads nowhere")
        elif anchor and anchor not in anchors(file.read_text()):
            wrong(document, f"{target}: there is no such heading")


def check_code_paths(document, text):
    """Files of the code that running text names exist, but for examples of new ones."""
    folders = "shared|src|functions|tests|bench|samples|examples"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", text):
        if not (ROOT / path).exists() and not path.endswith("/example.rs"):
            wrong(document, f"{path} does not exist")


def check_named(file):
    """Documents and pictures exist that a file names by their place in the tree."""
    try:
        text = file.read_text()
    except UnicodeDecodeError:
        return
    for path, anchor in re.findall(
        r"(?<![\w.-])(docs/[\w/.-]+\.(?:md|svg|png))(?:#([\w-]+))?", text
    ):
        named = ROOT / path
        if not named.exists():
            wrong(file, f"{path} is named and does not exist")
        elif anchor and anchor not in anchors(named.read_text()):
            wrong(file, f"{path}#{anchor}: there is no such heading")


def check_index():
    """docs/README.md lists every document."""
    index = ROOT / "docs" / "README.md"
    listed = set(re.findall(r"\]\((\w+/[\w-]+\.md)\)", index.read_text()))
    for path in (ROOT / "docs").glob("*/*.md"):
        if str(path.relative_to(index.parent)) not in listed:
            wrong(index, f"{path.name} is not listed")


def check_commands(document, text):
    """Commands of the program, in blocks and in running text, are commands that it has."""
    lines = "".join(typed.blocks(text, "sh")).splitlines()
    written = [
        line[found.end() :]
        for line in lines
        if (found := re.search(r"cargo run( --release)? -- ", line))
    ]
    for command in written + re.findall(r"`sms-verify ([^`]+)`", text):
        words = shlex.split(command, comments=True)
        words = words[
            : next(
                (at for at, word in enumerate(words) if word in ("&", ";", "|", ">")), len(words)
            )
        ]
        done = subprocess.run([PROGRAM, *words, "--help"], env={}, capture_output=True, text=True)
        if done.returncode != 0:
            wrong(document, f"{command}: {done.stderr.strip()}")


def check_session(document, text):
    """Types in what a document shows, with the answers' own ids and codes. The program has the
    variables that the document exports."""
    exports = "".join(typed.blocks(text, "sh"))
    exports = dict(re.findall(r"^export (\w+)='?(.*?)'?$", exports, re.MULTILINE))
    server = subprocess.Popen(
        [PROGRAM],
        env={"LISTEN": "127.0.0.1:0"} | exports,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = next(
            found[0] for line in server.stdout if (found := re.search(r"http://[\d.:]+", line))
        )
        session = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
        steps = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
        replaced = {"http://127.0.0.1:8080": address}
        for step in steps:
            command, shown = re.match(r"(.*?[^\\])\n(.*)", step, re.DOTALL).groups()
            for old, new in replaced.items():
                command = command.replace(old, new)
            shown = json.loads(shown)
            if "inbox" in command:
                command = (
                    f"until {command} | grep -qF '{shown[0]['to']}'; do sleep 0.05; done; {command}"
                )
            answer = json.loads(
                subprocess.run(
                    ["bash", "-c", command], capture_output=True, text=True, timeout=300
                ).stdout
            )
            alike = (
                list(answer[0]) == list(shown[0])
                if isinstance(shown, list)
                else list(answer) == list(shown)
            )
            if not alike:
                wrong(document, f"{command} answers {answer}")
            for then, now in zip(
                *((one if isinstance(one, list) else [one]) for one in (shown, answer))
            ):
                replaced.update({then[key]: now[key] for key in ("id", "code") if key in then})
    finally:
        server.terminate()
        server.wait()


def check_printed(document, text):
    """Types in what a document shows that prints the same everywhere."""
    for block in typed.blocks(text, "console"):
        command, shown = re.match(r"\$ (.*<<'(\w+)'\n.*?\n\2\n)(.*)", block, re.DOTALL).group(1, 3)
        printed = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=300
        ).stdout
        if printed != shown:
            wrong(document, f"{command.splitlines()[0]} prints {printed}")


def check_translation(document, original):
    """The blocks of a translated document are the original's, but for comments."""
    read = [
        [typed.without_comments(block) for block in typed.blocks(file.read_text(), "sh")]
        for file in (original, document)
    ]
    if read[0] != read[1]:
        others = [one for one in read[1] if one not in read[0]]
        wrong(document, f"its blocks are not those of {original.name}: {others}")


def check_tests(documents):
    """Every test that SECURITY.md or a `tests/run NAME` names exists."""
    crates = ["--workspace", "--exclude", "cognito-sms"]
    command = ["cargo", "test", *crates, "--quiet", "--", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tests = re.findall(r"^(\S+): test$", listed, re.MULTILINE)
    tests += re.findall(r"^def (\w+)\(", (ROOT / "tests" / "browser.py").read_text(), re.MULTILINE)
    security = ROOT / "SECURITY.md"
    rows = re.findall(r"^\|.*\|([^|]*)\|$", security.read_text(), re.MULTILINE)
    named = [(security, name) for row in rows for name in re.findall(r"`([a-z][a-z0-9_:]+)`", row)]
    for document in documents:
        filters = re.findall(r"(?:`|\$ )tests/run ([a-z][a-z0-9_:]+)", document.read_text())
        named += [(document, name) for name in filters]
    for document, name in named:
        if not any(name in test for test in tests):
            wrong(document, f"no test is named {name}")


def check_typed():
    with tempfile.TemporaryDirectory() as folder, typed.Servers(folder) as servers:
        typist = typed.Typist(PROGRAM, servers)
        for name in TYPED:
            document = ROOT / name
            went_wrong = typist.type_in(name, document.read_text())
            if went_wrong is not None:
                wrong(document, f"typed in, it goes wrong: {went_wrong}")
        for left_out in typist.unaccounted():
            ERRORS.append(
                f"tests/typed.py: {left_out} is not typed in without a reason, "
                "or has a reason and stands nowhere"
            )
        document = ROOT / "docs" / "guide" / "local-mode.md"
        for block in typed.blocks(document.read_text(), "nginx"):
            for went_wrong in typist.behind_nginx(block):
                wrong(document, went_wrong)


tree = list(files())
documents = [file for file in tree if file.suffix == ".md"]
for file in tree:
    check_named(file)
check_index()
for document in documents:
    text = document.read_text()
    name = str(document.relative_to(ROOT))
    check_links(document, text)
    if document.name != "CHANGELOG.md":
        check_code_paths(document, text)
    check_commands(document, text)
    if name in SESSIONS:
        check_session(document, text)
    elif name in TYPED:
        check_printed(document, text)
check_translation(ROOT / "README.zh-CN.md", ROOT / "README.md")
check_tests(documents)
check_typed()
for error in ERRORS:
    print(error)
print(f"{len(documents)} documents, {len(ERRORS)} errors")
sys.exit(bool(ERRORS))
