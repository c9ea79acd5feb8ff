"""Types in what docs/guide/deploy.md says of cargo-lambda, on moto in the place of AWS, and holds
what is deployed against template.yaml.

    python tests/deploy.py

Run by tests/run with the Python of target/tools, after the functions are built for release.
"""

import json
import logging
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Whatever may stand in a password or in a list.
VALUES = {
    "REDIS_URL": "rediss://default:p#s&w,o=r%22d$HOME`x@cache.example:6379",
    "CODE_SECRET": "a new secret, of 32 characters # or more,and the old one, too",
    "SMS_DSN": "failover(ccp://SID:T#K@app.cloopen.com:8883?app_id=A&template=1"
    " || twilio://AC:T@default?from=+1)",
}
# Stands in for the AWS CLI, as far as the guide uses it: `aws SERVICE OPERATION --name value …`, on
# moto.
AWS = f'aws() {{ "{sys.executable}" "{pathlib.Path(__file__).resolve()}" aws "$@"; }}\n'
FUNCTIONS = {"RequestCode": "request-code", "CheckCode": "check-code", "SendSms": "send-sms"}
OTHER_COMMANDS = ("cargo lambda build",)


def client(service):
    import boto3

    return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"])


def aws(service, operation, *arguments):
    """One command of the AWS CLI."""
    import jmespath

    given, name = {}, None
    for argument in arguments:
        if argument.startswith("--"):
            name = argument[2:]
        else:
            given.setdefault(name, []).append(argument)
    query = given.pop("query", [None])[0]
    given.pop("output", None)
    model = client(service)
    method = operation.replace("-", "_")
    shape = model.meta.service_model.operation_model(
        model.meta.method_to_api_mapping[method]
    ).input_shape
    members = {
        re.sub(r"(?<!^)(?=[A-Z])", "-", member).lower(): (member, shape.members[member].type_name)
        for member in shape.members
    }
    answer = getattr(model, method)(
        **{members[name][0]: read(values, members[name][1]) for name, values in given.items()}
    )
    print(jmespath.search(query, answer) if query else json.dumps(answer, default=str))


def read(values, kind):
    if kind == "list":
        return values
    if kind in ("map", "structure") and not values[0].startswith("{"):
        return {
            key: int(value) for key, value in (pair.split("=") for pair in values[0].split(","))
        }
    return json.loads(values[0]) if kind in ("map", "structure", "integer") else values[0]


def block():
    """The commands of the section, but for those that take minutes and are run elsewhere."""
    section = (
        (ROOT / "docs" / "guide" / "deploy.md").read_text().split("## With cargo-lambda", 1)[1]
    )
    text = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]
    return "".join(line for line in text.splitlines(True) if not line.startswith(OTHER_COMMANDS))


def check(what, actual, expected):
    if actual != expected:
        sys.exit(f"docs/guide/deploy.md: {what} is {actual}, and should be {expected}")


def typed_in():
    try:
        command = f"set -euo pipefail\n{AWS}{block()}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env={**os.environ, **VALUES},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            sys.exit(f"docs/guide/deploy.md: {done.stderr}{done.stdout}")
    finally:
        left = [
            file for file in (ROOT / f"{name}.env" for name in FUNCTIONS.values()) if file.exists()
        ]
        for file in left:
            file.unlink()
    check("what is left of the files with secrets", left, [])


def main():
    from moto.server import ThreadedMotoServer
    from samcli.yamlhelper import yaml_parse

    os.environ.update(
        MOTO_IAM_LOAD_MANAGED_POLICIES="true",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_REGION="us-east-1",
    )
    os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ["AWS_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL_SQS"] = "http://{}:{}".format(
        *server.get_host_and_port()
    )
    typed_in()

    template = yaml_parse((ROOT / "template.yaml").read_text())
    shared = template["Globals"]["Function"]
    deployed = {
        function["FunctionName"]: function
        for function in client("lambda").list_functions()["Functions"]
    }
    for resource, name in FUNCTIONS.items():
        function, properties = deployed[name], template["Resources"][resource]["Properties"]
        wanted = {key: properties.get(key, shared[key]) for key in ("MemorySize", "Timeout")} | {
            "Tracing": shared["Tracing"]
        }
        actual = {key: function[key] for key in ("MemorySize", "Timeout")} | {
            "Tracing": function["TracingConfig"]["Mode"]
        }
        check(f"what {name} is given", actual, wanted)
        variables = function["Environment"]["Variables"]
        check(
            f"a variable of {name}",
            {key: variables[key] for key in VALUES if key in variables},
            {key: value for key, value in VALUES.items() if key in variables},
        )
        lacks = {"REDIS_URL", "CODE_SECRET"} | ({"QUEUE_URL"} if name != "check-code" else set())
        lacks |= {"DEAD_QUEUE_URL", "SMS_DSN"} if name == "send-sms" else set()
        check(f"variables of {name}", set(variables), lacks)
    mapping = client("lambda").list_event_source_mappings()["EventSourceMappings"][0]
    jobs = template["Resources"]["SendSms"]["Properties"]["Events"]["Jobs"]["Properties"]
    check("the batch size", mapping["BatchSize"], jobs["BatchSize"])
    server.stop()
    print("docs/guide/deploy.md: its section on cargo-lambda deploys what template.yaml says")


if sys.argv[1:2] == ["aws"]:
    aws(*sys.argv[2:])
else:
    main()
