"""Holds the files of deploy/ against their formats and against the program.

    python tests/hosting.py [target/debug/sms-verify]

Kubernetes' own schemas judge the manifests (KEDA's kinds have none there), systemd the units where
it is installed. Whatever they start is a command of the program, and what they probe is a port that
it opens.
"""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else None
ERRORS = []


def check(what, holds):
    if not holds:
        ERRORS.append(what)


def facts():
    """What the program says of itself."""
    return json.loads(subprocess.run([PROGRAM, "facts"], check=True, capture_output=True).stdout)


FACTS = facts() if PROGRAM else None


def are_settings(where, names, command):
    """Variables of a service are settings of the program, and all that its command requires."""
    if FACTS:
        for name in sorted(set(names) - set(FACTS["settings"])):
            check(f"{where}: {name} is no setting", False)
        for name in sorted(set(FACTS["required"][command]) - set(names)):
            check(f"{where}: {name} is not set, and {command} requires it", False)


def is_command(where, arguments):
    if PROGRAM:
        done = subprocess.run(
            [PROGRAM, *arguments, "--help"], env={}, capture_output=True, text=True
        )
        check(
            f"{where}: {' '.join(arguments)} is no command: {done.stderr}",
            done.returncode == 0 and not done.stderr,
        )


def check_kubernetes():
    documents = []
    for file in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml")):
        documents += [document for document in yaml.safe_load_all(file.read_text()) if document]
    for document in documents:
        if "keda" not in document["apiVersion"]:
            try:
                kubernetes_validate.validate(document, "1.30", strict=True)
            except kubernetes_validate.ValidationError as error:
                ERRORS.append(f"{document['kind']} {document['metadata']['name']}: {error.message}")
    deployments = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Deployment"}
    for name, deployment in deployments.items():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        is_command(name, container["args"])
        ports = {port["name"] for port in container["ports"]}
        opened = (
            container["args"][-1].rsplit(":")[-1] if "--metrics" in container["args"] else "8080"
        )
        check(
            f"{name}: it opens {opened}",
            [str(port["containerPort"]) for port in container["ports"]] == [opened],
        )
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            target = container.get(probe, {}).get("httpGet")
            check(f"{name}: {probe} asks another port", not target or target["port"] in ports)
            check(
                f"{name}: {probe} asks another path",
                not target or target["path"] in ("/healthz", "/readyz"),
            )
    scaled = next(one for one in documents if one["kind"] == "ScaledObject")["spec"]
    check("KEDA scales what is not there", scaled["scaleTargetRef"]["name"] in deployments)
    if FACTS:
        queue = scaled["triggers"][0]["metadata"]["queueName"]
        check("KEDA looks at another queue", queue == FACTS["queue"])


def check_compose():
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        is_command(name, service["command"])
        are_settings(name, service["environment"], service["command"][0])
        is_command(name, service["healthcheck"]["test"][2:])


def check_units():
    units = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
    with tempfile.TemporaryDirectory() as folder:
        for unit in units:
            text = unit.read_text()
            command = shlex.split(
                re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1].replace("%i", "1")
            )
            is_command(unit.name, command[1:])
            # The program and its settings are not here.
            text = re.sub(
                r"^(EnvironmentFile|Documentation)=.*\n", "", text, flags=re.MULTILINE
            ).replace(command[0], "/bin/true")
            (pathlib.Path(folder) / unit.name.replace("@", "@1")).write_text(text)
        if shutil.which("systemd-analyze"):
            done = subprocess.run(
                ["systemd-analyze", "verify", *pathlib.Path(folder).iterdir()],
                capture_output=True,
                text=True,
                check=False,
            )
            check(f"systemd: {done.stderr}", done.returncode == 0)


def check_image():
    user = re.search(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
    check(
        f"Kubernetes does not start an image whose user is a name: {user}",
        re.fullmatch(r"\d+:\d+", user),
    )


check_image()
check_kubernetes()
check_compose()
check_units()
for error in ERRORS:
    print(error)
print(f"deploy/ agrees with Kubernetes, Compose, systemd and the program: {len(ERRORS)} errors")
sys.exit(bool(ERRORS))
