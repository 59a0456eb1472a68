#!/usr/bin/env bash
# Puts together the file system of the CPU image, by the script of its build and of this machine's libraries, and runs
# the server in it as a container does: nothing else is there, nothing can be written, no network, user 65532 without
# capabilities, the variables of the container file. Needs root.
#
#   deploy/validate/image.sh BINARY
set -euo pipefail
binary=$(realpath "${1:?the server binary}")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
root=$work/root
container=0 # unshare
server=0    # the server in it
origin=0    # of a file that it fetches

# shellcheck disable=SC2317
finish() {
    for process in "$container" "$origin"; do
        if [ "$process" != 0 ]; then { kill -KILL "$process" && wait "$process"; } 2>/dev/null || true; fi
    done
    rm -rf "$work"
}
trap finish EXIT

wrong() {
    echo "image: $1"
    cat "$work/log"
    exit 1
}

inside() { nsenter --target "$server" --net -- "$@"; }
# reads FILE WHAT
reads() {
    inside "$binary" extract --json "$1" >"$work/answer" || wrong "cannot read $1"
    grep -qF "$2" "$work/answer" || wrong "what it read: $(head -c 500 "$work/answer")"
}

touch "$work/log"
deploy/rootfs.sh "$binary" "$root"
install -D -m 755 "$binary" "$root/usr/local/bin/tessera"
programs=$(find "$root" -type f -perm /111 ! -name '*.so*' -printf '/%P\n')
[ "$programs" = /usr/local/bin/tessera ] || wrong "programs in it: $programs"

# What a runtime adds: places for its own file systems, and names.
mkdir "$root/proc" "$root/dev"
touch "$root/dev/null"
echo '127.0.0.1 localhost documents.example' >"$root/etc/hosts"
chmod 755 "$work" "$root"
mapfile -t variables < <(grep -o 'TESSERA_[A-Z_]*=[^ ]*' deploy/Containerfile)
# With an origin of https:// it does not start where it finds no authorities.
variables+=(TESSERA_ADMIN_LISTEN=127.0.0.1:9464 TESSERA_FETCH_NETWORKS=127.0.0.0/8
    TESSERA_FETCH_FROM=https://documents.example,http://documents.example:8080)

# shellcheck disable=SC2016
unshare --mount --net --ipc --uts --pid --fork --kill-child bash -euc '
    root=$1
    shift
    ip link set lo up
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount --bind /dev/null "$root/dev/null"
    mount -t proc proc "$root/proc"
    exec setpriv --clear-groups --no-new-privs env -i "$@" \
        unshare --root "$root" --wd / --setgid 65532 --setuid 65532 /usr/local/bin/tessera serve
' container "$root" "${variables[@]}" >"$work/log" 2>&1 &
container=$!
for _ in $(seq 300); do
    server=$(pgrep --parent "$container" || true)
    if [ -n "$server" ] && inside curl --silent --fail http://127.0.0.1:9464/readyz >/dev/null 2>&1; then break; fi
    kill -0 "$container" 2>/dev/null || wrong "does not start"
    server=0
    sleep 0.2
done
[ "$server" != 0 ] || wrong "not within 60 s: it serves"

# It is who and where it should be.
grep -q '^Uid:.65532.65532' "/proc/$server/status" && grep -q '^Groups:[[:space:]]*$' "/proc/$server/status" || wrong "not the user that it should be"
grep -q '^CapEff:.0*$' "/proc/$server/status" && grep -q '^CapPrm:.0*$' "/proc/$server/status" || wrong "it has capabilities"
if touch "/proc/$server/root/etc/written" 2>/dev/null; then wrong "its root can be written"; fi

# It reads an image in its own process, a PDF in a child, and an image of a host that it knows by name.
inside python3 -m http.server 8080 --bind 127.0.0.1 --directory models/tessera-tiny/samples >/dev/null 2>&1 &
origin=$!
reads models/tessera-tiny/samples/receipt-01.png '"TOTAL_AMOUNT": "$5976.93"'
reads tests/data/preprocess/two-pages-of-text.pdf '"finish_reason":"stop"'
reads http://documents.example:8080/receipt-01.png '"TOTAL_AMOUNT": "$5976.93"'

# And it ends well.
kill -TERM "$server"
wait "$container" || wrong "a stop is a failure"
container=0
echo "image: $(du -sh --exclude=tessera "$root" | cut -f 1) beside the binary; the server starts, reads and ends in it"
