#!/usr/bin/env bash
# Runs the tests (or those whose name contains the argument), and ends with the runner's summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --package sallyport
export SALLYPORT_BIN=${SALLYPORT_BIN:-$target/debug/sallyport}
export SALLYPORT_PLUGINS=${SALLYPORT_PLUGINS:-$PWD/target/plugins}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
if command -v cargo-nextest >/dev/null; then
    cargo nextest run --workspace --no-fail-fast --color never "$@" 2>&1 | tee "$log" || status=$?
    summary=$(grep -E '^ +Summary ' "$log" | tail -1)
else
    cargo test --workspace --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
    summary=$(awk '/^test result:/ { passed += $4; failed += $6 } END { print "test result: " passed " passed; " failed " failed" }' "$log")
fi
echo "$summary"
exit "$status"
