#!/usr/bin/env bash
# Fuzzes each target that is named (all of them by default) for FUZZ_SECONDS. What it finds lies in target/fuzz.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${FUZZ_SECONDS:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
work=$PWD/target/fuzz
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for file in tests/fuzz/targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# As cargo-fuzz passes them, but for the sanitizer, which wants a nightly compiler. `--target` keeps
# them away from build scripts.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
-Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks --cfg fuzzing"
features=()
case " ${targets[*]} " in *" egress "* | *" answers "*) features=(--features plugin) ;; esac
cargo build --release "${features[@]}" --manifest-path tests/fuzz/Cargo.toml --target "$host" \
    --target-dir "$work/build" "${targets[@]/#/--bin=}"

for target in "${targets[@]}"; do
    mkdir -p "$work/corpus/$target" "$work/findings/$target"
    # A second is long for any of these inputs, five are on a busy machine; half a gibibyte is much.
    "$work/build/$host/release/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=512 -max_len=8192 \
        -print_final_stats=1 -artifact_prefix="$work/findings/$target/" -dict="tests/fuzz/dictionaries/$target.dict" \
        "$work/corpus/$target" "tests/fuzz/corpus/$target"
done
