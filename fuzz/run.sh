#!/usr/bin/env bash
# Runs every fuzz target for some seconds without cargo-fuzz: libFuzzer by the flags that it would set.
#
#   fuzz/run.sh SECONDS [TARGET…]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?seconds of each target}
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(request image partial_json prompt access)
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code -Cdebug-assertions -Ccodegen-units=1"
${CARGO:-cargo +nightly} build --release --target "$host" --bins
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    seeds=()
    [ "$target" = image ] && seeds=(../tests/data/preprocess/decode)
    "target/$host/release/$target" -max_total_time="$seconds" -rss_limit_mb=3072 -timeout=30 \
        -artifact_prefix="artifacts/$target/" "corpus/$target" "${seeds[@]}"
done
