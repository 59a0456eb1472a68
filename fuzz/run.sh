#!/usr/bin/env bash
# Runs fuzz targets with libFuzzer, without cargo-fuzz and without a nightly compiler.
#
#   fuzz/run.sh SECONDS [TARGET…]      SECONDS for each target; all targets unless some are named
#
# What was found is in fuzz/artifacts/TARGET, inputs that reach new code are kept in fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?seconds of each target}
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(request schema image_file pdf partial_json prompt access uri)
# A directory of its own: cargo does not know crates with counters from those without.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# The same dependencies as the server's.
cp ../Cargo.lock Cargo.lock
RUSTC_WRAPPER=$PWD/instrument.sh ${CARGO:-cargo} build --bins

for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    more=()
    case $target in
    image_file) more=(-max_len=65536 ../tests/data/preprocess/decode) ;;
    pdf) more=(-max_len=16384 -dict=pdf.dict) ;;
    schema | partial_json) more=(-dict=json.dict) ;;
    uri) more=(-max_len=512 -dict=uri.dict) ;;
    esac
    [ ! -d "seeds/$target" ] || more+=("seeds/$target")
    echo "fuzz: $target for $seconds s"
    "$CARGO_TARGET_DIR/debug/$target" -max_total_time="$seconds" -rss_limit_mb=3072 -timeout=30 \
        -print_final_stats=1 -artifact_prefix="artifacts/$target/" "corpus/$target" "${more[@]}" \
        2>"artifacts/$target/log" || { tail -n 40 "artifacts/$target/log"; exit 1; }
    grep -E 'number_of_executed_units|new_units_added|peak_rss_mb' "artifacts/$target/log"
    grep -E 'cov: [0-9]+' "artifacts/$target/log" | tail -n 1
done
