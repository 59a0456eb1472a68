#!/usr/bin/env bash
# Checks a release as whoever downloads it finds it: sums, archive, binary, pages, completions, what changed,
# bill of materials; and that the program in it reads a document, from the command line and as a server.
#
#   packaging/check.sh dist/tessera-0.1.0-x86_64-unknown-linux-gnu.tar.gz
set -euo pipefail
archive=$(realpath "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
dist=$(dirname "$archive")
name=$(basename "$archive" .tar.gz)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

wrong() {
    echo "release: $*"
    exit 1
}

# Sums are of exactly the two files, and hold.
[ "$(awk '{ print $2 }' "$dist/$name.sha256" | sort | xargs)" = "$name.cdx.json $name.tar.gz" ] || wrong "sums of other files"
(cd "$dist" && sha256sum --check --quiet --strict "$name.sha256") || wrong "a sum does not hold"

# One directory, nothing that leads out of it, nobody's user, no file that others may write.
tar -tzf "$archive" | while read -r path; do
    case $path in "$name"/*) ;; *) wrong "the archive has $path" ;; esac
    case $path in *..*) wrong "the archive leads out by $path" ;; esac
done
[ "$(tar -tvzf "$archive" | awk '{ print $2 }' | sort -u)" = "0/0" ] || wrong "files belong to somebody"
tar -tvzf "$archive" | awk '$1 ~ /^.(.......w|....w)/ { bad = 1 } END { exit bad }' || wrong "others may write a file"
tar -C "$work" -xzf "$archive"
root=$work/$name
binary=$root/tessera
for file in tessera LICENSE README.md CHANGES.md; do test -s "$root/$file" || wrong "the archive lacks $file"; done

# The binary: stripped, of few libraries, nothing of the machine that built it, and of the version that it says.
if command -v readelf >/dev/null; then
    sections=$(readelf --wide --section-headers "$binary")
    if grep -qE '\.(symtab|debug_(info|line|abbrev|str))' <<<"$sections"; then wrong "the binary is not stripped"; fi
    needed=$(readelf --wide --dynamic "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    if [[ $name != *cuda* ]]; then
        others=$(grep -vE '^(libc|libm|libgcc_s|ld-linux-[a-z0-9-]+)\.so\.[0-9]+$' <<<"$needed" || true)
        [ -z "$others" ] || wrong "the binary needs $others"
    fi
    glibc=$(readelf --wide --version-info "$binary" | grep -o 'GLIBC_2\.[0-9.]*' | sort -uV | tail -n 1)
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
[[ $("$binary" version) == "tessera $version"* ]] || wrong "the binary says it is $("$binary" version | head -n 1)"
[[ $name == "tessera-$version-"* ]] || wrong "the archive is of another version"

# A page for each command, each of which renders; completions that their shells can read.
test -s "$root/man1/tessera.1" || wrong "there is no man page"
for command in $("$binary" help | sed -n '/^Commands:/,/^Options:/s/^  \([a-z][a-z-]*\)  .*/\1/p' | grep -vx help); do
    test -s "$root/man1/tessera-$command.1" || wrong "there is no page of $command"
done
for page in "$root"/man1/*.1; do
    grep -q '^\.TH ' "$page" || wrong "$page is no man page"
    if command -v man >/dev/null; then
        rendered=$(MANWIDTH=100 man --warnings -l "$page" 2>"$work/man" | col -b)
        # A long word that does not fill its line is no fault.
        faults=$(grep -vE "cannot (adjust|break) line" "$work/man" || true)
        [ -z "$faults" ] || wrong "$page: $faults"
        grep -q '^SYNOPSIS' <<<"$rendered" || wrong "$page has no synopsis"
    fi
done
for shell in bash zsh fish; do
    file=$root/completions/tessera.$shell
    grep -q serve "$file" || wrong "$file does not know serve"
    if command -v "$shell" >/dev/null; then "$shell" -n "$file" || wrong "$shell cannot read $file"; fi
done
completed=$(bash -c 'source "$1"; COMP_WORDS=(tessera ser); COMP_CWORD=1; _tessera tessera ser tessera; echo "${COMPREPLY[@]}"' _ "$root/completions/tessera.bash")
[ "$completed" = serve ] || wrong "bash completes ser to '$completed'"

# What changed is of this version, and the licence is the repository's.
grep -qE "^## \[($version|Unreleased)\]" "$root/CHANGES.md" || wrong "what changed is of another version"
cmp -s "$here/LICENSE" "$root/LICENSE" || wrong "the licence is another one"

# The bill of materials names this program and only what Cargo.lock has, with its sums.
python3 - "$dist/$name.cdx.json" "$here/Cargo.lock" "$version" <<'PY' || wrong "the bill of materials is wrong"
import json, sys, tomllib
bill = json.load(open(sys.argv[1]))
locked = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(open(sys.argv[2], "rb"))["package"]}
assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5"), bill["bomFormat"]
own = bill["metadata"]["component"]
assert (own["name"], own["version"]) == ("tessera", sys.argv[3]), own
parts = bill["components"]
assert len(parts) > 100, len(parts)
for part in parts:
    key = (part["name"], part["version"])
    assert key in locked, f"{key} is not in Cargo.lock"
    sums = [one["content"] for one in part.get("hashes", [])]
    assert sums == ([locked[key]] if locked[key] else []), f"{key} has another sum"
    assert part.get("licenses"), f"{key} has no licence"
known = {part["bom-ref"] for part in parts} | {own["bom-ref"]}
assert all(set(one.get("dependsOn", [])) <= known for one in bill["dependencies"]), "depends on what is not there"
print(f"bill of materials: {len(parts)} parts")
PY

# It runs with nothing of this machine, and reads what it ships with.
lonely=(env -i "HOME=$work" PATH=/usr/bin:/bin)
"${lonely[@]}" "$binary" check >/dev/null || wrong "check finds something"
# Its first line says where it serves.
mkfifo "$work/said"
"${lonely[@]}" "$binary" serve --listen 127.0.0.1:0 --log-level warn >"$work/said" &
server=$!
read -r -t 60 _ _ _ address _ <"$work/said" || wrong "the server does not say that it serves"
"${lonely[@]}" "$binary" extract --server "${address%,}" --json "$here/models/tessera-tiny/samples/receipt-01.png" >"$work/answer.json"
kill "$server"
wait "$server" || wrong "the server did not end well"
server=
python3 - "$work/answer.json" "$here/models/tessera-tiny/samples/receipt-01.json" <<'PY' || wrong "it reads something else"
import json, sys
answer, truth = (json.load(open(path)) for path in sys.argv[1:])
assert answer["fields"] == truth["fields"], answer["fields"]
PY
ls -l "$archive" "$binary" | awk '{ print $5, $NF }'
echo "release: checked, $name${glibc:+, $glibc or newer}"
