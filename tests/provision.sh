# shellcheck shell=bash
# Tools and private services for tests/run, tests/lint, tests/soak, tests/fuzz and bench/run, and
# their end. To be sourced, at the root of the repository.
# What is built: all but cognito-sms, whose library takes minutes (tests/cognito). With others the
# features differ, and much is built again.
# shellcheck disable=SC2034  # for those who source this
crates=(--workspace --exclude cognito-sms)
tools=$PWD/target/tools
ministack=$PWD/target/ministack
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

# Installs packages of Debian, and says before by which command. With TESTS_INSTALL=no it only says
# so, and ends.
install_debian() {
  [ $# -gt 0 ] || return 0
  local sudo=() install=(apt-get install -y --no-install-recommends "$@")
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  if [ "${TESTS_INSTALL-}" = no ]; then
    echo "Packages of Debian are missing:" "${sudo[@]}" "${install[@]}" >&2
    exit 1
  fi
  step "installing packages of Debian (TESTS_INSTALL=no: never):" "${sudo[@]}" "${install[@]}"
  quietly "${sudo[@]}" apt-get update
  quietly "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}"
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
  command -v luacheck >/dev/null || missing+=(lua-check)
  command -v cc >/dev/null || missing+=(build-essential)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  echo "${missing[*]}"
}

install_packages() {
  local missing
  read -ra missing < <(missing_packages)
  install_debian "${missing[@]}"
}

# Makes a Python environment in a folder from the first of these lists, anew when one changes.
install_python() {
  local folder=$1
  shift
  cat "$@" | cmp -s - "$folder/installed.txt" && return 0
  step "installing the packages of $1 into ${folder#"$PWD"/}"
  rm -rf "$folder"
  python3 -m venv "$folder"
  quietly "$folder/bin/pip" install --quiet --requirement "$1"
  cat "$@" >"$folder/installed.txt"
}

# Installs what package-lock.json of a folder names, anew when it changes.
install_node() {
  local folder=$1
  cmp -s "$folder/package-lock.json" "$folder/node_modules/installed.json" && return 0
  step "installing what $folder needs"
  quietly npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts
  cp "$folder/package-lock.json" "$folder/node_modules/installed.json"
}

# Puts Novu's providers beside what the one of them needs that the tests load. By npm alone they
# bring the clients of fifty vendors, 350 MB.
install_novu() {
  local package=@novu/providers@0.24.2 modules=tests/doors/node_modules packed
  [ "$(cat "$modules/@novu/providers/installed.txt" 2>/dev/null)" != "$package" ] || return 0
  step "installing $package"
  packed=$(mktemp -d)
  quietly npm pack --pack-destination "$packed" "$package"
  mkdir -p "$modules/@novu/providers"
  tar -xzf "$packed"/*.tgz -C "$modules/@novu/providers" --strip-components 1
  echo "$package" >"$modules/@novu/providers/installed.txt"
  rm -rf "$packed"
}

# Puts privacyIDEA's modules beside the few packages that its SMS provider needs: the whole of it
# has 300 MB of pages, and asks for forty packages.
install_privacyidea() {
  local package=privacyidea==3.14 modules packed
  modules=$(echo "$tools"/lib/python*/site-packages)
  [ "$(cat "$modules/privacyidea/installed.txt" 2>/dev/null)" != "$package" ] || return 0
  step "installing $package"
  packed=$(mktemp -d)
  quietly "$tools/bin/pip" download --quiet --no-deps --dest "$packed" "$package"
  rm -rf "$modules/privacyidea"
  "$tools/bin/python" - "$packed"/*.whl "$modules" <<'PY'
import sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.endswith(".py")])
PY
  echo "$package" >"$modules/privacyidea/installed.txt"
  rm -rf "$packed"
}

services=$(mktemp -d)
stop_services() {
  local folder
  for folder in "$services"/*/; do
    [ ! -d "$folder" ] || tests/services stop "${folder%/}" &
  done
  wait
  rm -rf "$services"
}
trap stop_services EXIT

# Starts the services that have no URL yet, all at once, and exports what the tests read.
start_services() {
  step "starting private services"
  local kind kinds=(redis-cluster sqs sqs-ministack) pid starting=()
  [ -n "${REDIS_URL-}" ] || kinds+=(redis)
  [ -n "${QUEUE_URL-}" ] || kinds+=(rabbitmq)
  for kind in "${kinds[@]}"; do
    tests/services start "$kind" "$services/$kind" >"$services/$kind.url" &
    starting+=($!)
  done
  for pid in "${starting[@]}"; do
    wait "$pid"
  done
  [ -n "${REDIS_URL-}" ] || REDIS_URL=$(cat "$services/redis.url")
  [ -n "${QUEUE_URL-}" ] || QUEUE_URL=$(cat "$services/rabbitmq.url")
  TEST_REDIS_CLUSTER=$(cat "$services/redis-cluster.url")
  TEST_SQS_ENDPOINT=$(cat "$services/sqs.url")
  TEST_SQS_MINISTACK=$(cat "$services/sqs-ministack.url")
  # The AWS SDK needs these to talk to a server on this machine.
  export AWS_ENDPOINT_URL_SQS=$TEST_SQS_ENDPOINT AWS_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  local emulator
  emulator=aws-lambda-rie-$(uname -m | sed s/aarch64/arm64/)
  TEST_RIE=$(echo "$tools"/lib/python*/site-packages/samcli/local/rapid/"$emulator")
  export REDIS_URL TEST_REDIS_CLUSTER QUEUE_URL TEST_SQS_ENDPOINT TEST_SQS_MINISTACK TEST_RIE
}

# Starts private services of a Redis and a RabbitMQ of tests/servers, for a subshell.
start_services_of() {
  export TEST_REDIS_SERVER=$1 TEST_RABBITMQ_SERVER=$2
  unset REDIS_URL QUEUE_URL
  services=$(mktemp -d)
  trap stop_services EXIT
  start_services
}

# Everything that the tests need.
prepare() {
  install_packages
  install_python "$tools" tests/tools.txt samples/django/requirements.txt \
    samples/django-allauth/requirements.txt
  install_python "$ministack" tests/ministack.txt
  export PATH=$tools/bin:$PATH:$ministack/bin
  install_privacyidea
  install_node samples/express
  install_node samples/better-auth
  install_node tests/doors
  install_novu
  install_node tests/twilio
}
