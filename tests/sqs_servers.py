"""Holds the table in CONTRIBUTING.md, of what moto and ministack do otherwise than AWS documents,
against both servers.

    python tests/sqs_servers.py MOTO_URL MINISTACK_URL

Run by tests/run; with UPDATE_DOCS=1 it writes the table.
"""

import difflib
import json
import os
import pathlib
import re
import sys
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).parent.parent
LIMIT = 1_048_576
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


class Server:
    """A server, with a queue and its dead-letter queue."""

    def __init__(self, url):
        # The client would refuse some requests by itself.
        config = Config(parameter_validation=False, retries={"max_attempts": 0})
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.client = boto3.client(
            "sqs", endpoint_url=url, region_name="us-east-1", config=config, **keys
        )
        dead = self.create("dead")
        self.dead_arn = self.attributes(dead, "QueueArn")["QueueArn"]
        self.dead, self.queue = dead, self.create("jobs", RedrivePolicy=self.redrive(1))

    def redrive(self, count):
        return json.dumps({"deadLetterTargetArn": self.dead_arn, "maxReceiveCount": count})

    def create(self, name, **attributes):
        name = f"{name}-{uuid.uuid4().hex}"
        return self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def attributes(self, queue, *names):
        call = self.client.get_queue_attributes
        return call(QueueUrl=queue, AttributeNames=list(names))["Attributes"]

    def send(self, body="x", **arguments):
        return self.client.send_message(QueueUrl=self.queue, MessageBody=body, **arguments)

    def send_batch(self, *bodies, **arguments):
        entries = [
            {"Id": str(index), "MessageBody": body, **arguments}
            for index, body in enumerate(bodies)
        ]
        answer = self.client.send_message_batch(QueueUrl=self.queue, Entries=entries)
        for failed in answer.get("Failed", []):
            raise ClientError({"Error": failed}, "SendMessageBatch")

    def receive(self, queue=None, **arguments):
        answer = self.client.receive_message(
            QueueUrl=queue or self.queue,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
            **arguments,
        )
        return (answer.get("Messages") or [None])[0]

    def received(self, **arguments):
        """A message that was sent and received."""
        self.client.purge_queue(QueueUrl=self.queue)
        self.send()
        return self.receive(**arguments)

    def show(self, handle, seconds):
        self.client.change_message_visibility(
            QueueUrl=self.queue, ReceiptHandle=handle, VisibilityTimeout=seconds
        )

    def delete(self, handle):
        self.client.delete_message(QueueUrl=self.queue, ReceiptHandle=handle)


def text(value):
    return {"DataType": "String", "StringValue": value}


def deleted_twice(server):
    handle = server.received()["ReceiptHandle"]
    server.delete(handle)
    server.delete(handle)


def shown_when_deleted(server):
    handle = server.received()["ReceiptHandle"]
    server.delete(handle)
    server.show(handle, 0)


def purged_twice(server):
    for _ in range(2):
        server.client.purge_queue(QueueUrl=server.queue)


def digest_of_the_trace(server):
    traced = {"AWSTraceHeader": text(TRACE)}
    return "MD5OfMessageSystemAttributes" in server.send(MessageSystemAttributes=traced)


def trace_of_a_batch(server):
    server.client.purge_queue(QueueUrl=server.queue)
    server.send_batch("x", "x", MessageSystemAttributes={"AWSTraceHeader": text(TRACE)})
    return server.receive()["Attributes"].get("AWSTraceHeader") == TRACE


def group_of_a_message(server):
    server.client.purge_queue(QueueUrl=server.queue)
    server.send(MessageGroupId="shop")
    return server.receive()["Attributes"].get("MessageGroupId") == "shop"


def moved(server):
    """A message that the redrive policy has moved."""
    server.client.purge_queue(QueueUrl=server.dead)
    server.client.purge_queue(QueueUrl=server.queue)
    server.send(MessageGroupId="shop")
    for _ in range(2):
        server.receive(VisibilityTimeout=0)
    return server.receive(server.dead)


# What SQS refuses, and the call. Sources: the API reference of SQS, and in its developer guide
# "Amazon SQS message quotas", "Amazon SQS message metadata" and "dead-letter queues".
REFUSED = {
    "a body with U+0000": lambda s: s.send("\0"),
    "a body with U+FFFF": lambda s: s.send("\uffff"),
    "an empty body": lambda s: s.send(""),
    "a body of 1 MiB and a byte": lambda s: s.send("x" * (LIMIT + 1)),
    "a body of more than 1 MiB with fewer characters": lambda s: s.send("€" * 400_000),
    "a body of 1 MiB with an attribute": lambda s: s.send(
        "x" * LIMIT, MessageAttributes={"a": text("b")}
    ),
    "11 messages in a batch": lambda s: s.send_batch(*["x"] * 11),
    "a batch of more than 1 MiB": lambda s: s.send_batch(*["x" * 600_000] * 2),
    "a batch of more than 1 MiB with fewer characters": lambda s: s.send_batch(
        *["€" * 200_000] * 2
    ),
    "11 attributes": lambda s: s.send(MessageAttributes={f"a{n}": text("b") for n in range(11)}),
    "an attribute without text": lambda s: s.send(MessageAttributes={"a": text("")}),
    "an attribute with U+0000": lambda s: s.send(MessageAttributes={"a": text("\0")}),
    "a delay of 901 s": lambda s: s.send(DelaySeconds=901),
    "a delay of -1 s": lambda s: s.send(DelaySeconds=-1),
    "a message group with a space": lambda s: s.send(MessageGroupId="the shop"),
    "a message group of 129 characters": lambda s: s.send(MessageGroupId="x" * 129),
    "11 messages at once, to receive": lambda s: s.receive(MaxNumberOfMessages=11),
    "a wait of 21 s, to receive": lambda s: s.received(WaitTimeSeconds=21),
    "a visibility timeout of 12 h and 1 s": lambda s: s.show(s.received()["ReceiptHandle"], 43_201),
    "another visibility timeout for a message that is deleted": shown_when_deleted,
    "a receipt handle that is none": lambda s: s.delete("x"),
    "a second purge within 60 s": purged_twice,
    "a `maxReceiveCount` of 0": lambda s: s.create("jobs", RedrivePolicy=s.redrive(0)),
    "a `maxReceiveCount` of 1001": lambda s: s.create("jobs", RedrivePolicy=s.redrive(1001)),
    "a name of a queue of more than 80 characters": lambda s: s.create("x" * 80),
}

# What it does, and the call that tells whether it was done.
DONE = {
    "a handle that was deleted may be deleted again": deleted_twice,
    "`AWSTraceHeader` is kept for a message of a batch": trace_of_a_batch,
    "`MessageGroupId` is kept on a standard queue": group_of_a_message,
    "the answer has `MD5OfMessageSystemAttributes`": digest_of_the_trace,
    "the redrive policy moves a message": lambda s: moved(s) is not None,
    "a message that was moved keeps its group": lambda s: (
        moved(s)["Attributes"].get("MessageGroupId") == "shop"
    ),
    "a message that was moved tells where from, in `DeadLetterQueueSourceArn`": lambda s: (
        "DeadLetterQueueSourceArn" in moved(s)["Attributes"]
    ),
}


def unlike(call, url):
    """What the server does in place of refusing."""
    try:
        call(Server(url))
        return "takes it"
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return "" if status < 500 else f"answers {status}"


def undone(call, url):
    """What the server does in place of what SQS does."""
    try:
        return "" if call(Server(url)) in (True, None) else "no"
    except ClientError as error:
        return error.response["Error"]["Code"]


def table(urls):
    versions = "".join(source("tests", f"{name}.txt") for name in ("tools", "ministack"))
    names = [
        re.sub(r"(\[server\])?==", " ", re.search(rf"^{name}\b.*", versions, re.MULTILINE).group())
        for name in ("moto", "ministack")
    ]
    lines = [f"| SQS | {' | '.join(names)} |", "|---|---|---|"]
    for what, call in REFUSED.items():
        lines.append((f"refuses {what}", [unlike(call, url) for url in urls]))
    for what, call in DONE.items():
        lines.append((what, [undone(call, url) for url in urls]))
    return lines[:2] + [
        f"| {what} | {' | '.join(found)} |" for what, found in lines[2:] if any(found)
    ]


def source(*parts):
    return ROOT.joinpath(*parts).read_text()


def main():
    document = source("CONTRIBUTING.md")
    start = document.index("| SQS | moto")
    end = document.index("\n\n", start)
    written, right = document[start:end].split("\n"), table(sys.argv[1:])
    if os.environ.get("UPDATE_DOCS") == "1":
        text_of_all = document[:start] + "\n".join(right) + document[end:]
        ROOT.joinpath("CONTRIBUTING.md").write_text(text_of_all)
    elif written != right:
        changes = difflib.unified_diff(written, right, "CONTRIBUTING.md", "the servers", "", "", 0)
        sys.exit("\n".join(changes))
    print(f"moto and ministack are as CONTRIBUTING.md says ({len(REFUSED) + len(DONE)} cases)")


if __name__ == "__main__":
    main()
