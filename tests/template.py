"""Holds template.yaml against the code: what SAM makes of it must be what the functions need, and no more.

Run by tests/run with the Python of target/tools, which has SAM's own translator, and moto, which creates those
resources of the stack that it knows: queues, roles, logs and the network.
"""

import json
import os
import pathlib
import re
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# This process talks to no server, whatever the tests' environment names.
os.environ.pop("AWS_ENDPOINT_URL_SQS", None)

import boto3
from moto import mock_aws
from moto.cloudformation.parsing import get_model_map
from samcli.yamlhelper import yaml_parse
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

ROOT = pathlib.Path(__file__).parent.parent
FUNCTIONS = {"RequestCode": "request-code", "CheckCode": "check-code", "SendSms": "send-sms"}


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


def default_of(name):
    """A default of the code, such as `max_retries: 3`."""
    return int(re.search(rf"{name}: (\d+)", source("shared", "src", "delivery", "schedule.rs")).group(1))


def required_by(config):
    """The variables that a configuration struct cannot do without."""
    text = source("shared", "src", "config", "mod.rs")
    body = text[text.index(f"impl {config} {{"):]
    return set(re.findall(r'"([A-Z_]+)"', re.search(r"Vars::new\(lookup, &\[(.*?)\]\)", body, re.S).group(1)))


def routes_of(*files):
    """Method and path of each route in the routers."""
    found = set()
    for file in files:
        for path, method in re.findall(r'\.route\("([^"]+)", (get|post|delete)\(', source("shared", "src", "http", file)):
            found.add((method.upper(), path.rstrip("/")))
    return found


def metrics_of(alarm):
    """Those of an alarm that are the program's own."""
    all_of_them = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one] or [alarm]
    return [one for one in all_of_them if one.get("Namespace") == "sms-verify"]


def api_routes(resources, function):
    api = next(resource for resource in resources.values() if resource["Type"] == "AWS::ApiGatewayV2::Api")
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
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            pairs |= {(action, statement["Resource"]["Fn::GetAtt"][0]) for action in actions}
    return pairs


def broad(resources, function):
    """AWS's own policies that the function has and does not need."""
    needed = ("AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess", "AWSLambdaVPCAccessExecutionRole")
    policies = json.dumps(resources[f"{function}Role"]["Properties"]["ManagedPolicyArns"])
    return {name for name in re.findall(r"policy/(?:service-role/)?(\w+)", policies) if name not in needed}


def open_without_tls(resources):
    """The queues that take requests without TLS."""
    queues = {name for name, resource in resources.items() if resource["Type"] == "AWS::SQS::Queue"}
    for policy in (resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::SQS::QueuePolicy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            denies = statement["Effect"] == "Deny" and statement["Principal"] == "*" and statement["Action"] == "sqs:*"
            if denies and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}:
                queues -= {queue["Ref"] for queue in policy["Queues"]} & {statement["Resource"]["Fn::GetAtt"][0]}
    return queues


def known_to_moto(resources):
    """The resources that moto can create, without those that refer to one it cannot."""
    gone = {name for name, resource in resources.items() if resource["Type"] not in get_model_map()}

    def refers(resource):
        text = json.dumps(resource)
        return any(f'"{name}"' in text or f"${{{name}}}" in text or f"${{{name}." in text for name in gone)

    while more := {name for name, resource in resources.items() if name not in gone and refers(resource)}:
        gone |= more
    return {name: resource for name, resource in resources.items() if name not in gone}


@mock_aws
def create(template, redis):
    """Creates the stack, and returns its resources by name and the attributes of its job queue."""
    resources = known_to_moto(template["Resources"])
    body = json.dumps({**{key: value for key, value in template.items() if key != "Outputs"}, "Resources": resources})
    values = {"SecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:sms-verify", "Redis": redis}
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    formation, queues = boto3.client("cloudformation"), boto3.client("sqs")
    formation.create_stack(StackName="sms-verify", TemplateBody=body, Parameters=parameters, Capabilities=["CAPABILITY_IAM"])
    status = formation.describe_stacks(StackName="sms-verify")["Stacks"][0]["StackStatus"]
    check(f"the stack with Redis={redis}", status, "CREATE_COMPLETE")
    created = formation.describe_stack_resources(StackName="sms-verify")["StackResources"]
    names = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in created if "PhysicalResourceId" in item}
    return names, queues.get_queue_attributes(QueueUrl=names["Jobs"], AttributeNames=["All"])["Attributes"]


def check(what, actual, expected):
    if actual != expected:
        sys.exit(f"template.yaml: {what} is {actual}, and the code needs {expected}")


def main():
    template = translated()
    resources = template["Resources"]
    properties = {name: resource.get("Properties", {}) for name, resource in resources.items()}

    retries = default_of("max_retries")
    check("maxReceiveCount", properties["Jobs"]["RedrivePolicy"]["maxReceiveCount"], 1 + retries)
    visible, timeout = properties["Jobs"]["VisibilityTimeout"], properties["SendSms"]["Timeout"]
    check("six timeouts within the visibility timeout", 6 * timeout <= visible, True)
    mapping = properties["SendSmsJobs"]
    check("the partial batch response", mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])

    for function, config in {"RequestCode": "RequestConfig", "CheckCode": "CheckConfig", "SendSms": "SendConfig"}.items():
        variables = set(properties[function]["Environment"]["Variables"])
        callers = {"ALLOW_ORIGINS", "API_KEYS", "DEFAULT_REGION", "LIMITS", "TRUSTED_PROXIES"}
        needed = required_by(config) | ({"DEAD_QUEUE_URL"} if config == "SendConfig" else callers)
        check(f"what {function} lacks", needed - variables, set())
        binary = yaml_parse(source("template.yaml"))["Resources"][function]["Metadata"]["BuildProperties"]["Binary"]
        check(f"the binary of {function}", binary, FUNCTIONS[function])

    check("the routes of RequestCode", api_routes(resources, "RequestCode"), routes_of("request.rs", "health.rs"))
    preflights = {("OPTIONS", "/v1/{path}")}
    check("the routes of CheckCode", api_routes(resources, "CheckCode"),
          routes_of("check.rs", "pictures.rs", "receipts.rs", "specification.rs") | preflights)

    # What each adapter call needs: `send` and `ping` for who asks; `send` (held jobs), `postpone` and `bury` for who sends.
    send, attributes, visibility = "sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"
    check("what RequestCode may", allowed(resources, "RequestCode"), {(send, "Jobs"), (attributes, "Jobs")})
    check("what CheckCode may", allowed(resources, "CheckCode"), set())
    mapping = {("sqs:ReceiveMessage", "Jobs"), ("sqs:DeleteMessage", "Jobs"), (attributes, "Jobs")}
    sender = mapping | {(send, "Jobs"), (visibility, "Jobs"), (send, "DeadLetters")}
    check("what SendSms may", allowed(resources, "SendSms"), sender)
    for function in FUNCTIONS:
        check(f"policies of AWS for {function} beyond logs, traces and the network", broad(resources, function), set())

    check("queues that are open without TLS", open_without_tls(resources), set())

    runbook = source("docs", "operations", "runbook.md")
    headings = {re.sub(r"[^\w\- ]", "", found.lower()).replace(" ", "-") for found in re.findall(r"^#+ (.*)$", runbook, re.M)}
    for name, alarm in resources.items():
        if alarm["Type"] == "AWS::CloudWatch::Alarm":
            anchor = json.dumps(alarm["Properties"]["AlarmDescription"]).split("#")[-1].strip('"} ')
            check(f"the runbook has a section for {name}, {anchor}", anchor in headings, True)
    body = properties["Dashboard"]["DashboardBody"]["Fn::Sub"]
    json.loads(re.sub(r"\$\{[^}]*\}", "x", body))
    names = set(re.findall(r'"(sms_verify_\w+)"', source("shared", "src", "telemetry", "metrics.rs")))
    used = set(re.findall(r"sms_verify_\w+", json.dumps(template)))
    counted = source("shared", "src", "telemetry", "metrics.rs") + source("shared", "src", "store", "terms.rs")
    words = set(re.findall(r'=> "(\w+)"', counted)) | {"accepted"}
    for alarm in resources.values():
        for metric in metrics_of(alarm["Properties"]) if alarm["Type"] == "AWS::CloudWatch::Alarm" else []:
            labels = {one["Name"]: one["Value"] for one in metric["Dimensions"] if one["Name"] != "function"}
            check(f"labels of {metric['MetricName']} that nobody counts", set(labels.values()) - words, set())
            check(f"names of labels of {metric['MetricName']}", set(labels) <= {"outcome", "result", "policy", "gateway"}, True)
    check("metrics that the template uses and nobody counts", used - names, set())
    # The dimensions of a query are exactly those that its metric has: the function's, and its labels.
    counted = re.search(r"counter!\(REFUSED, (.*?)\)\.increment", source("shared", "src", "telemetry", "metrics.rs")).group(1)
    labels = {"function"} | set(re.findall(r'"(\w+)" =>', counted))
    query = properties["RefusedAlarm"]["Metrics"][0]["Expression"]["Fn::Sub"]
    dimensions = re.search(r'SCHEMA\("sms-verify", (.*?)\)', query).group(1).split(", ")
    # In quotes: "function" is a word of the query language, too.
    check("the dimensions of RefusedAlarm", set(dimensions), {f'"{label}"' for label in labels})
    check("labels without quotes in RefusedAlarm", [label for label in labels if re.search(rf"(?<![\w\"]){label}\b", query)], [])

    for redis, network in {"bring": False, "create": True}.items():
        created, jobs = create(template, redis)
        policy = json.loads(jobs["RedrivePolicy"])
        check("where dead letters go", policy["deadLetterTargetArn"].split(":")[-1], created["DeadLetters"].split("/")[-1])
        check(f"the network with Redis={redis}", {"Vpc", "Nat", "SqsEndpoint"} <= set(created), network)
    print(f"template.yaml agrees with the code ({len(resources)} resources after translation)")


if __name__ == "__main__":
    main()
