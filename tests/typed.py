"""Types the blocks of the documents in, as somebody does who follows them from first to last.

A block of `sh` is typed into the shell in which those before it were. A program that runs until it
is stopped has to say that it is there, and ends well when it is stopped; what is started with & is
stopped by a block of the document. Ports, addresses of servers and `cargo run` are replaced, since
the program is built and private servers are there.
"""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import textwrap
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVICES = ROOT / "tests" / "services"

# What is not typed in, and why: single commands, and blocks by the command that they begin with.
COMMANDS_NOT_HERE = {
    "docker compose up --detach --wait": "no Docker: the same servers run as processes",
    "tests/run": "it is what runs this",
}
BLOCKS_NOT_HERE = {
    (
        "docs/guide/from-meiduo.md",
        "export REDIS_URL=redis://127.0.0.1:6379/2",
    ): "tests/it/compat/meiduo/guide.rs goes the whole way",
    ("docs/guide/deploy.md", "aws secretsmanager create-secret"): "an AWS account",
    ("docs/guide/deploy.md", "sam build"): "an AWS account",
    ("docs/guide/deploy.md", "sam deploy"): "an AWS account",
    ("docs/guide/deploy.md", "URL=$(aws cloudformation"): "an AWS account",
    ("docs/guide/deploy.md", "cargo lambda build"): "AWS; tests/deploy.py types it in on moto",
    ("docs/guide/deploy.md", "VERSION=$(aws secretsmanager"): "an AWS account",
    ("docs/guide/deploy.md", "sam delete"): "an AWS account",
}
# Blocks in other languages than a shell's, and what holds them.
OTHER_BLOCKS = {
    ("README.md", "text"): "a picture",
    ("docs/guide/local-mode.md", "nginx"): "Typist.behind_nginx",
    **{
        ("docs/guide/from-meiduo.md", language): "tests/it/compat/meiduo/guide.rs"
        for language in ("nginx", "js", "html", "python")
    },
    **{("docs/guide/from-twilio.md", language): "compat::twilio" for language in ("python", "js")},
    **{(name, "console"): "tests/documents.py" for name in ("README.md", "docs/guide/deploy.md")},
}
# Seconds that a document may take, and one whose functions may have to be compiled.
LONGEST, LONGEST_WITH_FUNCTIONS = 300, 1800

# What a document's server does not say, since Debian's nginx has it in its own files.
NGINX = """
worker_processes 1; daemon off; pid FOLDER/pid;
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b;
    fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
    SERVER
}
"""

SHELL = r"""
set -meuo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
trap 'exit 1' TERM
# Starts what runs until it is stopped, waits until it says where it is, and stops it.
serves() {
    : >"$SAID"
    "$@" >>"$SAID" &
    local pid=$! at
    until grep -q '^  gateway' "$SAID"; do kill -0 $pid; sleep 0.05; done
    at=$(sed -n 's|^  API *\(http://.*\)/v1/verifications|\1|p' "$SAID")
    [ -z "$at" ] || until curl -sf "$at/healthz" >/dev/null; do kill -0 $pid; sleep 0.05; done
    kill $pid
    wait $pid
}
"""


def blocks(text, *languages):
    """The fenced blocks of these languages, one after the other."""
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(body) for _, language, body in found if language in languages]


def commands(block):
    """A block's commands, each with the lines on which it goes on."""
    return [line for line in re.split(r"(?<!\\)\n", block) if line.strip()]


def plain(command):
    return re.split(r"\s+#", command)[0].strip()


def without_comments(block):
    return [plain(command) for command in commands(block)]


def free_ports(count):
    """Ports that nobody listens at, each another."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Servers:
    """A Redis and a RabbitMQ for the documents alone, at other ports than theirs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def __enter__(self):
        self.redis, self.rabbitmq = (
            self.run("start", kind, self.folder / kind) for kind in ("redis", "rabbitmq")
        )
        return self

    def __exit__(self, *_):
        for kind in ("redis", "rabbitmq"):
            self.run("stop", self.folder / kind)

    @staticmethod
    def run(*arguments):
        return subprocess.run(
            [SERVICES, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()


class Typist:
    """Types into shells, and keeps account of what it leaves out."""

    def __init__(self, program, servers):
        self.program, self.servers, self.left_out = program, servers, set()
        self.ports = dict(zip(("8080", "8081", "9000"), map(str, free_ports(3))))

    def here(self, command):
        """A command with the addresses that things have here."""
        address = self.servers.rabbitmq.split("@")[1].split("/")[0]
        command = command.replace("amqp://sms:sms-local@127.0.0.1:5672/%2f", self.servers.rabbitmq)
        command = command.replace("redis://127.0.0.1:6379", self.servers.redis).replace(
            "mq.example:5672", address
        )
        command = re.sub(
            r"\b(8080|8081|9000)\b",
            lambda found: self.ports[found[0]],
            command.replace("0.0.0.0", "127.0.0.1"),
        )
        command = re.sub(
            r"^rabbitmqctl", f"{SERVICES} rabbitmqctl {self.servers.folder / 'rabbitmq'}", command
        )
        command = re.sub(
            r"\bcargo lambda (watch|invoke)",
            rf"cargo lambda \1 --invoke-port {self.ports['9000']}",
            command,
        )
        stays = re.search(r"cargo run( -- (api|worker\b[^&]*))?$", plain(command))
        program = f"serves {self.program}" if stays else self.program
        return re.sub(r"\bcargo run( --release)?( --)?(?=\s|$)", program, command)

    def script(self, name, text):
        lines = [SHELL]
        self.left_out |= {
            (name, language) for language in re.findall(r"^ *```(\w+)$", text, re.MULTILINE)
        } - {(name, "sh")}
        for block in blocks(text, "sh"):
            typed = commands(block)
            begins = next(
                (key for key in BLOCKS_NOT_HERE if key[0] == name and typed[0].startswith(key[1])),
                None,
            )
            if begins:
                self.left_out.add(begins)
                continue
            for command in typed:
                if plain(command) in COMMANDS_NOT_HERE:
                    self.left_out.add(plain(command))
                else:
                    shown = command.splitlines()[0].replace("'", "")
                    lines += [f"echo '$ {shown}'", self.here(command)]
        # What was not stopped is waited for in vain.
        return "\n".join([*lines, "echo 'waits for what was started'", "wait"])

    def type_in(self, name, text):
        """What went wrong, or None."""
        environment = {
            key: value
            for key, value in os.environ.items()
            if not re.match(r"REDIS_URL|QUEUE_URL|AWS_|TEST_", key)
        }
        environment |= {"LISTEN": f"127.0.0.1:{self.ports['8080']}"}
        with tempfile.TemporaryDirectory() as folder:
            environment["SAID"] = f"{folder}/said"
            log = pathlib.Path(folder) / "log"
            with log.open("w") as output:
                shell = subprocess.Popen(
                    ["bash", "-c", self.script(name, text)],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
                try:
                    shell.wait(LONGEST_WITH_FUNCTIONS if "cargo lambda" in text else LONGEST)
                except subprocess.TimeoutExpired:
                    shell.terminate()
                    shell.wait()
            said = log.read_text()
        return said if shell.returncode else None

    def unaccounted(self):
        """What is left out and should not be, and what is to be left out and stands nowhere."""
        return sorted(
            map(str, {*COMMANDS_NOT_HERE, *BLOCKS_NOT_HERE, *OTHER_BLOCKS} ^ self.left_out)
        )

    def behind_nginx(self, server):
        """What goes wrong where two APIs stand behind an nginx with these lines: one may end, and
        only the API is passed on."""
        ports = dict(zip(("80", "8080", "8081"), map(str, free_ports(3))))
        server = server.replace("listen 80;", f"listen 127.0.0.1:{ports['80']};")
        server = re.sub(r":(8080|8081)\b", lambda found: f":{ports[found[1]]}", server)
        environment = {
            "REDIS_URL": self.servers.redis,
            "QUEUE_URL": self.servers.rabbitmq,
            "CODE_SECRET": "x" * 32,
            "TRUSTED_PROXIES": "1",
        }
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            (pathlib.Path(folder) / "nginx.conf").write_text(
                NGINX.replace("FOLDER", folder).replace("SERVER", server)
            )
            listens = [
                environment | {"LISTEN": f"127.0.0.1:{ports[port]}"} for port in ("8080", "8081")
            ]
            nginx = ["/usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", f"{folder}/nginx.conf"]
            started = [
                (nginx, os.environ),
                *(([self.program, "api"], listen) for listen in listens),
            ]
            processes = [stack.enter_context(running(*each)) for each in started]
            for process, port in zip(processes, ports.values()):
                wait_for(process, port)
            at = f"http://127.0.0.1:{ports['80']}"
            # 405 is the API's word for a GET where only a POST is something.
            for path, passed_on in {
                "/v1/verifications": 405,
                "/.well-known/jwks.json": 200,
            }.items():
                if status(at + path) != passed_on:
                    yield f"behind nginx {path} is {status(at + path)}"
            if status(at + "/readyz") == 200:
                yield "nginx passes on more than the API's paths"
            processes[1].terminate()
            processes[1].wait()
            seen = {status(at + "/.well-known/jwks.json") for _ in range(4)}
            if seen != {200}:
                yield f"behind nginx, when one of two APIs has ended: {seen}"


@contextlib.contextmanager
def running(command, environment):
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_for(process, port):
    with socket.socket() as each:
        while each.connect_ex(("127.0.0.1", int(port))) != 0:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args} ended")
            time.sleep(0.02)


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
