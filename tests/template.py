"""Holds template.yaml against the code: SAM makes of it what the functions need, and no more.

    python tests/template.py target/debug/sms-verify

Run by tests/run with the Python of target/tools, which has SAM's own translator, and moto, which
creates those resources of the stack that it knows: queues, roles, logs and the network. What the
code needs is what the program says of itself: `sms-verify facts`.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# This process talks to no server, whatever the tests' environment names.
os.environ.pop("AWS_ENDPOINT_URL_SQS", None)

import boto3
from cfnlint.api import lint
from moto import mock_aws
from moto.cloudformation.parsing import get_model_map
from samcli.yamlhelper import yaml_parse
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

ROOT = pathlib.Path(__file__).parent.parent
FUNCTIONS = {
    "RequestCode": "request-code",
    "CheckCode": "check-code",
    "SendSms": "send-sms",
    "CognitoSms": "cognito-sms",
}


class NoManagedPolicies(ManagedPolicyLoader):
    """The template names none of AWS's policies by their short names."""

    def __init__(self):
        super().__init__(iam_client=None)

    def load(self):
        return {}


def translated():
    """The CloudFormation template that SAM deploys."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    template["Globals"]["Function"].pop("CodeUri")
    return transform(template, {}, NoManagedPolicies())


def source(*parts):
    return ROOT.joinpath(*parts).read_text()


def facts():
    """What the program says of itself: its settings, and its metrics with their labels."""
    program = str(pathlib.Path(sys.argv[1]).resolve())
    return json.loads(
        subprocess.run([program, "facts"], check=True, capture_output=True, text=True).stdout
    )


def check_settings(properties, known, required):
    """Each function is given settings that it reads, all that it needs, and those that another
    function of the API has, too."""
    given = {
        function: set(properties[function]["Environment"]["Variables"]) for function in FUNCTIONS
    }
    read = {
        function: {name for name, setting in known.items() if program in setting["read_by"]}
        for function, program in FUNCTIONS.items()
    }
    for function, program in FUNCTIONS.items():
        # The template's queue is one of SQS, where dead letters are put by their own URL.
        needed = set(required[program]) | ({"DEAD_QUEUE_URL"} if function == "SendSms" else set())
        check(f"what {function} lacks", needed - given[function], set())
        check(f"what {function} does not read", given[function] - read[function], set())
    api = read["RequestCode"] & read["CheckCode"]
    check(
        "what one function of the API has alone",
        (given["RequestCode"] ^ given["CheckCode"]) & api,
        set(),
    )


def routes():
    """Method and path of each operation, by its name, as openapi.json has them."""
    paths = json.loads(source("shared", "http", "openapi.json"))["paths"]
    return {
        operation["operationId"]: (method.upper(), path.rstrip("/"))
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def metrics_of(alarm):
    """Those of an alarm that are the program's own."""
    all_of_them = [
        one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one
    ] or [alarm]
    return [one for one in all_of_them if one.get("Namespace") == "sms-verify"]


def api_routes(resources, function):
    api = next(
        resource for resource in resources.values() if resource["Type"] == "AWS::ApiGatewayV2::Api"
    )
    found = set()
    for path, methods in api["Properties"]["Body"]["paths"].items():
        for method, route in methods.items():
            if function in json.dumps(route.get("x-amazon-apigateway-integration", {})):
                # A greedy parameter takes a slash at the end, too.
                found.add((method.upper(), path.replace("+}", "}")))
    return found


def allowed(resources, function):
    """What the function's own statements allow: pairs of an action and a resource's name."""
    pairs = set()
    for policy in resources[f"{function}Role"]["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = (
                statement["Action"]
                if isinstance(statement["Action"], list)
                else [statement["Action"]]
            )
            resource = statement["Resource"]
            name = resource["Ref"] if "Ref" in resource else resource["Fn::GetAtt"][0]
            pairs |= {(action, name) for action in actions}
    return pairs


def broad(resources, function):
    """AWS's own policies that the function has and does not need."""
    needed = (
        "AWSLambdaBasicExecutionRole",
        "AWSXrayWriteOnlyAccess",
        "AWSLambdaVPCAccessExecutionRole",
    )
    policies = json.dumps(resources[f"{function}Role"]["Properties"]["ManagedPolicyArns"])
    return {
        name
        for name in re.findall(r"policy/(?:service-role/)?(\w+)", policies)
        if name not in needed
    }


def open_without_tls(resources):
    """The queues that take requests without TLS."""
    queues = {name for name, resource in resources.items() if resource["Type"] == "AWS::SQS::Queue"}
    for policy in (
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::SQS::QueuePolicy"
    ):
        for statement in policy["PolicyDocument"]["Statement"]:
            denies = (
                statement["Effect"] == "Deny"
                and statement["Principal"] == "*"
                and statement["Action"] == "sqs:*"
            )
            if denies and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}:
                queues -= {queue["Ref"] for queue in policy["Queues"]} & {
                    statement["Resource"]["Fn::GetAtt"][0]
                }
    return queues


def known_to_moto(resources):
    """The resources that moto can create, without those that refer to one it cannot."""
    gone = {name for name, resource in resources.items() if resource["Type"] not in get_model_map()}

    def refers(resource):
        text = json.dumps(resource)
        return any(
            f'"{name}"' in text or f"${{{name}}}" in text or f"${{{name}." in text for name in gone
        )

    while more := {
        name for name, resource in resources.items() if name not in gone and refers(resource)
    }:
        gone |= more
    return {name: resource for name, resource in resources.items() if name not in gone}


@mock_aws
def create(template, redis):
    """Creates the stack, and returns its resources by name and the attributes of its job queue."""
    resources = known_to_moto(template["Resources"])
    body = json.dumps(
        {
            **{key: value for key, value in template.items() if key != "Outputs"},
            "Resources": resources,
        }
    )
    values = {
        "SecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:sms-verify",
        "Redis": redis,
    }
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    formation, queues = boto3.client("cloudformation"), boto3.client("sqs")
    formation.create_stack(
        StackName="sms-verify",
        TemplateBody=body,
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM"],
    )
    status = formation.describe_stacks(StackName="sms-verify")["Stacks"][0]["StackStatus"]
    check(f"the stack with Redis={redis}", status, "CREATE_COMPLETE")
    created = formation.describe_stack_resources(StackName="sms-verify")["StackResources"]
    names = {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for item in created
        if "PhysicalResourceId" in item
    }
    return names, queues.get_queue_attributes(QueueUrl=names["Jobs"], AttributeNames=["All"])[
        "Attributes"
    ]


def check_event_source(template):
    """send-sms's pollers are Lambda's, up to MaximumConcurrency, or provisioned: AWS takes one of
    the two alone."""
    mapping = template["Resources"]["SendSmsJobs"]["Properties"]
    none = {"Ref": "AWS::NoValue"}
    pollers = {"MinimumPollers": {"Ref": "MinimumPollers"}}
    pollers["MaximumPollers"] = {"Ref": "MaximumPollers"}
    scaling = {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}
    condition = "ProvisionsPollers"
    check(
        "the concurrency of the event source",
        [mapping.get(name) for name in ("ProvisionedPollerConfig", "ScalingConfig")],
        [{"Fn::If": [condition, pollers, none]}, {"Fn::If": [condition, none, scaling]}],
    )
    unset = {"Fn::Equals": [{"Ref": "MinimumPollers"}, ""]}
    check("when pollers are provisioned", template["Conditions"][condition], {"Fn::Not": [unset]})
    least, most = (template["Parameters"][name] for name in ("MinimumPollers", "MaximumPollers"))
    check("the default of MinimumPollers", least["Default"], "")
    # For SQS; for Kafka 1 is allowed, too.
    allowed = [n for n in range(1000) if re.search(least["AllowedPattern"], str(n))]
    check("the range of MinimumPollers", allowed, list(range(2, 201)))
    check("an empty MinimumPollers", bool(re.search(least["AllowedPattern"], "")), True)
    check("the range of MaximumPollers", (most["MinValue"], most["MaxValue"]), (2, 2000))


def check_cognito(template):
    """All that is Cognito's is there with its parameters alone, and only its pool may invoke it."""
    resources, condition = template["Resources"], "HasCognito"
    both = [
        {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}
        for name in ("CognitoKeyArn", "CognitoUserPoolArn")
    ]
    check("when there is cognito-sms", template["Conditions"][condition], {"Fn::And": both})
    always = {
        name
        for name, resource in resources.items()
        if name.startswith("Cognito") and resource.get("Condition") != condition
    }
    check("what is Cognito's and always there", always, set())
    permissions = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Permission"
        and resource["Properties"]["FunctionName"] == {"Ref": "CognitoSms"}
    ]
    check(
        "who may invoke CognitoSms",
        [(one["Principal"], one["SourceArn"]) for one in permissions],
        [("cognito-idp.amazonaws.com", {"Ref": "CognitoUserPoolArn"})],
    )


def check(what, actual, expected):
    if actual != expected:
        sys.exit(f"template.yaml: {what} is {actual}, and the code needs {expected}")


def main():
    template = translated()
    resources = template["Resources"]
    properties = {name: resource.get("Properties", {}) for name, resource in resources.items()}

    known = facts()
    retries = int(known["settings"]["MAX_RETRIES"]["default"])
    check("maxReceiveCount", properties["Jobs"]["RedrivePolicy"]["maxReceiveCount"], 1 + retries)
    visible, timeout = properties["Jobs"]["VisibilityTimeout"], properties["SendSms"]["Timeout"]
    check("six timeouts within the visibility timeout", 6 * timeout <= visible, True)
    mapping = properties["SendSmsJobs"]
    check(
        "the partial batch response", mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"]
    )

    # As SAM is given it, cfn-lint knows neither Globals nor what is below an event.
    found = [f"{match.rule.id} {match.message}" for match in lint(json.dumps(template))]
    check("what cfn-lint finds after translation", found, [])
    check_event_source(template)
    # A path of /v2/ or /sms_codes/ has a number in it.
    logged = properties["ApiApiGatewayDefaultStage"]
    form = logged["AccessLogSettings"]["Format"]
    check("what the API's log has of paths", re.findall(r"\w*(?:path|Path|resource)\w*", form), [])
    for function in FUNCTIONS:
        logging = {"LogFormat": "JSON", "LogGroup": {"Ref": f"{function}Log"}}
        logging["ApplicationLogLevel"] = {"Ref": "LogLevel"}
        logging["SystemLogLevel"] = {"Ref": "SystemLogLevel"}
        check(f"the logs of {function}", properties[function]["LoggingConfig"], logging)

    check_settings(properties, known["settings"], known["required"])
    built = yaml_parse(source("template.yaml"))["Resources"]
    for function, binary in FUNCTIONS.items():
        metadata = built[function]["Metadata"]
        check(f"the binary of {function}", metadata["BuildProperties"]["Binary"], binary)

    described = routes()
    names = (
        "askForCode sendSmsCode twilioCreateVerification isAlive isReady createMessage getMessage "
        "reportOutcome receiveDoor receiveDoorQuery twilioCreateMessage"
    )
    asking = {described.pop(name) for name in names.split()}
    check("the routes of RequestCode", api_routes(resources, "RequestCode"), asking)
    # One route has all that a client of Twilio Verify may call.
    described = {
        name: route for name, route in described.items() if not route[1].startswith("/v2/")
    }
    preflights = {("OPTIONS", "/v1/{path}")}
    others = {("X-AMAZON-APIGATEWAY-ANY-METHOD", "/v2/{path}")}
    check(
        "the routes of CheckCode",
        api_routes(resources, "CheckCode"),
        set(described.values()) | preflights | others,
    )

    # What each adapter call needs: `send` and `ping` for who asks; `send` (held jobs), `postpone`
    # and `bury` for who sends.
    send, attributes, visibility = (
        "sqs:SendMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
    )
    check(
        "what RequestCode may",
        allowed(resources, "RequestCode"),
        {(send, "Jobs"), (attributes, "Jobs")},
    )
    check("what CheckCode may", allowed(resources, "CheckCode"), set())
    mapping = {("sqs:ReceiveMessage", "Jobs"), ("sqs:DeleteMessage", "Jobs"), (attributes, "Jobs")}
    sender = mapping | {(send, "Jobs"), (visibility, "Jobs"), (send, "DeadLetters")}
    check("what SendSms may", allowed(resources, "SendSms"), sender)
    check(
        "what CognitoSms may",
        allowed(resources, "CognitoSms"),
        {(send, "Jobs"), ("kms:Decrypt", "CognitoKeyArn")},
    )
    check_cognito(template)
    for function in FUNCTIONS:
        check(
            f"policies of AWS for {function} beyond logs, traces and the network",
            broad(resources, function),
            set(),
        )

    check("queues that are open without TLS", open_without_tls(resources), set())

    runbook = source("docs", "operations", "runbook.md")
    headings = {
        re.sub(r"[^\w\- ]", "", found.lower()).replace(" ", "-")
        for found in re.findall(r"^#+ (.*)$", runbook, re.MULTILINE)
    }
    for name, alarm in resources.items():
        if alarm["Type"] == "AWS::CloudWatch::Alarm":
            anchor = json.dumps(alarm["Properties"]["AlarmDescription"]).split("#")[-1].strip('"} ')
            check(f"the runbook has a section for {name}, {anchor}", anchor in headings, True)
    body = properties["Dashboard"]["DashboardBody"]["Fn::Sub"]
    json.loads(re.sub(r"\$\{[^}]*\}", "x", body))
    metrics = known["metrics"]
    used = set(re.findall(r"sms_verify_\w+", json.dumps(template)))
    for alarm in resources.values():
        for metric in (
            metrics_of(alarm["Properties"]) if alarm["Type"] == "AWS::CloudWatch::Alarm" else []
        ):
            labels = {
                one["Name"]: one["Value"]
                for one in metric["Dimensions"]
                if one["Name"] != "function"
            }
            counted = metrics[metric["MetricName"]]
            check(f"the labels of {metric['MetricName']}", set(labels), set(counted))
            wrong = {
                name: value
                for name, value in labels.items()
                if counted[name] and value not in counted[name]
            }
            check(f"values of labels of {metric['MetricName']} that nobody counts", wrong, {})
    check("metrics that the template uses and nobody counts", used - set(metrics), set())
    # The dimensions of a query are exactly its metric's: the function's, and its labels.
    labels = {"function"} | set(metrics["sms_verify_refused_total"])
    query = properties["RefusedAlarm"]["Metrics"][0]["Expression"]["Fn::Sub"]
    dimensions = re.search(r'SCHEMA\("sms-verify", (.*?)\)', query).group(1).split(", ")
    # In quotes: "function" is a word of the query language, too.
    check("the dimensions of RefusedAlarm", set(dimensions), {f'"{label}"' for label in labels})
    check(
        "labels without quotes in RefusedAlarm",
        [label for label in labels if re.search(rf"(?<![\w\"]){label}\b", query)],
        [],
    )

    for redis, network in {"bring": False, "create": True}.items():
        created, jobs = create(template, redis)
        policy = json.loads(jobs["RedrivePolicy"])
        check(
            "where dead letters go",
            policy["deadLetterTargetArn"].split(":")[-1],
            created["DeadLetters"].split("/")[-1],
        )
        check(
            f"the network with Redis={redis}",
            {"Vpc", "Nat", "SqsEndpoint"} <= set(created),
            network,
        )
    print(f"template.yaml agrees with the code ({len(resources)} resources after translation)")


if __name__ == "__main__":
    main()
