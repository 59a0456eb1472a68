#!/usr/bin/env bash
# Writes a release to dist/: the stripped binary with man pages, completions, licence and what changed, its
# bill of materials, and checksums of both.
#
#   make release                 the CPU build
#   FEATURES=cuda make release   for NVIDIA GPUs
#   REMAP=off make release       with what other builds have compiled already; names of directories of this
#                                machine stay in the binary, so not for others
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
target_dir=${TARGET_DIR:-target}
features=${FEATURES:-}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
host=$(rustc -vV | sed -n 's/^host: //p')
name=tessera-$version-$host${features:+-$features}

# No name of the machine that built it stays in the binary.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
if [ "${REMAP:-on}" = on ]; then
    export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=. --remap-path-prefix=$cargo_home=cargo"
fi
"$cargo" build --release --locked --bin tessera ${features:+--features "$features"}

rm -rf "dist/$name"
mkdir -p "dist/$name/completions"
install -m 755 "$target_dir/release/tessera" "dist/$name/"
# Nothing that is for debuggers.
strip --strip-all "dist/$name/tessera"
if [ "${REMAP:-on}" = on ] && grep -aqF "$cargo_home" "dist/$name/tessera"; then
    echo "the binary names directories of this machine"
    exit 1
fi
"dist/$name/tessera" man --out "dist/$name/man1"
for shell in bash zsh fish; do "dist/$name/tessera" completions $shell >"dist/$name/completions/tessera.$shell"; done
cp LICENSE README.md "dist/$name/"
# Of the changelog the part that is this version's, or what is not released yet.
awk -v v="$version" '/^## \[/ { on = index($0, "[" v "]") || index($0, "[Unreleased]") } on' CHANGELOG.md >"dist/$name/CHANGES.md"
test -s "dist/$name/CHANGES.md"
python3 packaging/sbom.py ${features:+--features "$features"} >"dist/$name.cdx.json"

# The same files are the same archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
    -C dist -czf "dist/$name.tar.gz" "$name"
(cd dist && sha256sum "$name.tar.gz" "$name.cdx.json" >"$name.sha256")

# What was packed is what was meant.
packaging/check.sh "dist/$name.tar.gz"
cat "dist/$name.sha256"
