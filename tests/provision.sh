# What tests/run, tests/soak and tests/fuzz share: tools, private services, and their end. To be sourced, at the root of
# the repository.
tools=$PWD/target/tools
began=$SECONDS

step() {
  printf '\n=== %s (%d s)\n' "$*" $((SECONDS - began))
}

# Runs a command whose output matters only if it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The Debian packages that the tests need and this machine lacks.
missing_packages() {
  local missing=()
  command -v redis-server >/dev/null || missing+=(redis-server)
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=(rabbitmq-server)
  command -v openssl >/dev/null || missing+=(openssl)
  command -v curl >/dev/null || missing+=(curl)
  [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v npm >/dev/null || missing+=(nodejs npm)
  command -v cc >/dev/null || missing+=(build-essential)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  echo "${missing[@]}"
}

install_packages() {
  local missing
  read -ra missing <<<"$(missing_packages)"
  [ ${#missing[@]} -gt 0 ] || return 0
  step "installing ${missing[*]}"
  quietly as_root apt-get update
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

tool_lists=(tests/tools.txt samples/django/requirements.txt)

install_tools() {
  # A changed list makes a new environment.
  cat "${tool_lists[@]}" | cmp -s - "$tools/installed.txt" && return 0
  step "installing cargo-lambda and the other tools of tests/tools.txt into target/tools"
  rm -rf "$tools"
  python3 -m venv "$tools"
  quietly "$tools/bin/pip" install --quiet --requirement tests/tools.txt
  cat "${tool_lists[@]}" >"$tools/installed.txt"
}

install_samples() {
  cmp -s samples/express/package-lock.json samples/express/node_modules/installed.json && return 0
  step "installing what samples/express needs"
  quietly npm ci --prefix samples/express --no-audit --no-fund
  cp samples/express/package-lock.json samples/express/node_modules/installed.json
}

services=$(mktemp -d)
stop_services() {
  for folder in "$services"/*/; do
    [ -d "$folder" ] && tests/services stop "${folder%/}"
  done
  rm -rf "$services"
}
trap stop_services EXIT

start_services() {
  step "starting private services"
  [ -n "${REDIS_URL-}" ] || REDIS_URL=$(tests/services start redis "$services/redis")
  [ -n "${QUEUE_URL-}" ] || QUEUE_URL=$(tests/services start rabbitmq "$services/rabbitmq")
  TEST_REDIS_CLUSTER=$(tests/services start redis-cluster "$services/redis-cluster")
  TEST_SQS_ENDPOINT=$(tests/services start sqs "$services/sqs")
  # What the AWS SDK needs to talk to a server on this machine.
  export AWS_ENDPOINT_URL_SQS=$TEST_SQS_ENDPOINT AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  TEST_RIE=$(echo "$tools"/lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-"$(uname -m | sed s/aarch64/arm64/)")
  export REDIS_URL TEST_REDIS_CLUSTER QUEUE_URL TEST_SQS_ENDPOINT TEST_RIE
}

# Everything that the tests need.
prepare() {
  install_packages
  install_tools
  export PATH=$tools/bin:$PATH
  install_samples
}
