#!/usr/bin/env bash
# Packages: moto 5.2.5 and ministack 1.5.33 (PyPI), each with the boto3 or botocore that it names.
#
# Behaviour: both keep the system attribute AWSTraceHeader of SendMessage, and ReceiveMessage hands
# it out. Expected: SendMessageBatch, whose entries have the same member, keeps it, too. Seen: both
# take the entry, report it as successful, and drop the header. Message attributes and
# MessageGroupId of the same entry are kept.
#
# Seen (what ReceiveMessage has of a message with a trace header, an attribute and a group):
#   SendMessage -> trace, attribute, group      SendMessageBatch -> attribute, group
#
# Why it matters: two servers that agree look like SQS. Whoever sends by ones in a test and by
# batches under load sees a link between traces that is not there in X-Ray, or looks for a fault in
# a sender that has none. MD5OfMessageSystemAttributes, by which a client could tell, is missing
# from the answers of both.
#
# Source: send_message_batch in moto/sqs/models.py and _act_send_message_batch in
# ministack/services/sqs.py, neither of which hands MessageSystemAttributes on; AWS, API reference
# of SQS, SendMessageBatchRequestEntry.
set -euo pipefail

dir=$(mktemp -d)
trap '[ ! -f "$dir/pid" ] || kill "$(cat "$dir/pid")" 2>/dev/null || true; rm -rf "$dir"' EXIT
install() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --no-compile --target "$dir/$1" "${@:2}"
}
install moto 'moto[server]==5.2.5'
install ministack ministack==1.5.33

cat > "$dir/seen.py" <<'PY'
import sys
import boto3
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="us-east-1",
                   aws_access_key_id="test", aws_secret_access_key="test")
text = lambda value: {"DataType": "String", "StringValue": value}
header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
message = {
    "MessageBody": "x", "MessageGroupId": "shop", "MessageAttributes": {"a": text("b")},
    "MessageSystemAttributes": {"AWSTraceHeader": text(header)},
}
for name in ("SendMessage", "SendMessageBatch"):
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    if name == "SendMessage":
        sqs.send_message(QueueUrl=queue, **message)
    else:
        answer = sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", **message}])
        assert len(answer["Successful"]) == 1 and not answer.get("Failed")
    received, = sqs.receive_message(QueueUrl=queue, MessageSystemAttributeNames=["All"],
                                    MessageAttributeNames=["All"])["Messages"]
    attributes = received["Attributes"]
    kept = [
        attributes.get("AWSTraceHeader") == header and "trace",
        "a" in received.get("MessageAttributes", {}) and "attribute",
        attributes.get("MessageGroupId") == "shop" and "group",
    ]
    print(f"{name}:", *filter(None, kept))
PY

# Starts a server on a free port, waits until it listens, prints what it keeps, and ends it.
seen() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
  PYTHONPATH=$dir/$1 GATEWAY_PORT=$port BIND_HOST=127.0.0.1 SERVICES=sqs TMPDIR=$dir \
    python3 "${@:2}" ${PORT_OPTION:+"$PORT_OPTION" "$port"} >"$dir/$1.log" 2>&1 &
  echo $! >"$dir/pid"
  for _ in $(seq 300); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
  done
  PYTHONPATH=$dir/moto python3 "$dir/seen.py" "http://127.0.0.1:$port"
  kill "$(cat "$dir/pid")"
  rm "$dir/pid"
}
moto=$(PORT_OPTION=-p seen moto -c 'from moto.server import main; main()' -H 127.0.0.1)
ministack=$(seen ministack -m ministack)
printf 'moto:\n%s\nministack:\n%s\n' "$moto" "$ministack"
expected='SendMessage: trace attribute group
SendMessageBatch: attribute group'
[ "$moto" = "$expected" ] || { echo 'CHANGED: moto'; exit 1; }
[ "$ministack" = "$expected" ] || { echo 'CHANGED: ministack'; exit 1; }
echo 'as described'
