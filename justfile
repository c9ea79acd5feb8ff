# Common commands. No recipe calls sudo unasked: where Debian packages are missing, it prints the
# command that installs them, and stops.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the recipes.
default:
    @just --list

# API, sender, page and inbox in one process: http://127.0.0.1:8080
run *arguments:
    cargo run -- {{ arguments }}

# Compiles everything, tests included.
check:
    cargo check --workspace --exclude cognito-sms --all-targets

# Formats Rust.
format:
    cargo fmt --all

# Formatter and clippy, as the suite calls them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --exclude cognito-sms --all-targets -- -D warnings

# Unit tests whose names contain NAME; needs no servers.
unit name="":
    cargo test --workspace --exclude cognito-sms --lib {{ name }}

# Tests whose names contain NAME, on private servers; without NAME the whole suite.
test name="": _packages
    tests/run {{ name }}

# Minutes of load and random faults.
soak minutes="10": _packages
    tests/soak {{ minutes }}

# Minutes of made-up input, for each kind.
fuzz minutes="5": _packages
    tests/fuzz {{ minutes }}

# Measures; asks first, since bench/run installs what it lacks with sudo.
[confirm("bench/run installs wrk, valgrind and linux-perf with sudo where missing. Go on?")]
bench *arguments: _packages
    bench/run {{ arguments }}

# Writes docs/reference/gateway-codes.md from the tables.
codes:
    UPDATE_DOCS=1 cargo test --workspace --lib gateway_codes

# Prints the command that installs what the tests need.
packages:
    @source tests/provision.sh; missing=$(missing_packages); \
        echo "${missing:+sudo apt-get install --no-install-recommends $missing}"

_packages:
    @source tests/provision.sh; missing=$(missing_packages); [ -z "$missing" ] || \
        { echo "missing; run: sudo apt-get install --no-install-recommends $missing" >&2; exit 1; }
