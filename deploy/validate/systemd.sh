#!/usr/bin/env bash
# Starts the unit by a real systemd, and does with it what its operators do: start, read, reload, stop in the middle of
# an answer, crash, a wrong configuration, a certificate whose key is a group's. The systemd is one of its own, in a
# container that has this machine's /usr, an empty /etc and no network; nothing of it stays. Needs root.
#
#   deploy/validate/systemd.sh BINARY
set -euo pipefail
binary=$(realpath "${1:?the server binary}")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
name=tessera-$$
container=0 # systemd-nspawn
leader=0    # systemd in it

# shellcheck disable=SC2317
finish() {
    [ "$leader" = 0 ] || inside systemctl poweroff >/dev/null 2>&1 || true
    for _ in $(seq 20); do kill -0 "$container" 2>/dev/null || break; sleep 0.5; done
    kill -KILL "$container" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid -- "$@"; }

wrong() {
    echo "systemd: $1"
    [ "$leader" = 0 ] || inside journalctl --no-pager --unit tessera --lines 30 || true
    cat "$work/container.log"
    exit 1
}

# until SECONDS WHAT COMMAND…
until_true() {
    local seconds=$1 what=$2
    shift 2
    for _ in $(seq $((seconds * 5))); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    wrong "not within $seconds s: $what"
}

is() { [ "$(inside systemctl show --property "$1" --value tessera)" = "$2" ]; }
get() { inside curl --silent --fail "http://127.0.0.1:9464/$1"; }
serving() { get readyz; }
# shellcheck disable=SC2317
reloaded() { get reload | grep -q "\"state\":\"$1\""; }
# shellcheck disable=SC2317
running() { get metrics | grep -q "^tessera_engine_requests_running $1"; }
logged() { inside journalctl --no-pager --unit tessera | grep -q "$1"; }
# The lines of its file that are not the repository's.
configure() { { cat deploy/systemd/tessera.toml && printf '%s\n' "$@"; } >"$work/etc/tessera.toml"; }

mkdir -p "$work/bin" "$work/etc"
install -m 755 "$binary" "$work/bin/tessera"
cp models/tessera-tiny/samples/receipt-01.png tests/data/preprocess/two-pages-of-text.pdf "$work/bin/"
chmod 755 "$work" "$work/bin" "$work/etc"
# Nothing can be put into a /usr that is the machine's.
sed 's#/usr/local/bin/tessera#/opt/tessera/tessera#' deploy/systemd/tessera.service >"$work/tessera.service"
configure

setsid systemd-nspawn --directory / --volatile=yes --boot --register=no --keep-unit --private-network \
    --console=pipe --machine "$name" --bind-ro "$work/bin:/opt/tessera" --bind "$work/etc:/etc/tessera" \
    --bind-ro "$work/tessera.service:/etc/systemd/system/tessera.service" \
    systemd.unit=basic.target systemd.mask=systemd-networkd-wait-online.service </dev/null >"$work/container.log" 2>&1 &
container=$!
for _ in $(seq 300); do
    leader=$(pgrep --parent "$container" | head -n 1 || true)
    # Before that it is not in its own root yet.
    if [ -S "/proc/${leader:-0}/root/run/systemd/private" ] && inside systemctl is-active --quiet basic.target 2>/dev/null; then break; fi
    leader=0
    sleep 0.2
done
[ "$leader" != 0 ] || wrong "does not boot in a container here"

# It starts, as nobody, and reads in its sandbox: an image in its own process, a PDF in a child.
inside systemctl start tessera || wrong "does not start"
until_true 60 "it serves" serving
main=$(inside systemctl show --property MainPID --value tessera)
inside cat "/proc/$main/status" >"$work/status"
grep -q '^CapBnd:.0*$' "$work/status" && grep -q '^CapEff:.0*$' "$work/status" || wrong "it has capabilities"
grep -q '^NoNewPrivs:.1$' "$work/status" && grep -q '^Seccomp:.2$' "$work/status" || wrong "no filter of system calls"
if grep -q '^Uid:.0' "$work/status"; then wrong "it runs as root"; fi
outer=$(pgrep --full '^/opt/tessera/tessera serve' | head -n 1)
if nsenter --target "$outer" --mount -- touch /etc/written 2>/dev/null; then wrong "it could write to /etc"; fi
nsenter --target "$outer" --mount -- touch /tmp/written || wrong "it has no /tmp"
cache=$(tr '\0' '\n' <"/proc/$outer/environ" | sed -n 's/^CUDA_CACHE_PATH=//p')
user=$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$outer/status")
nsenter --target "$outer" --mount -- setpriv --reuid "$user" --regid "$user" --clear-groups touch "$cache/written" ||
    wrong "a driver has no place for its kernels"
inside /opt/tessera/tessera extract /opt/tessera/receipt-01.png --json >"$work/answer" || wrong "reads no image"
grep -qF '"TOTAL_AMOUNT": "$5976.93"' "$work/answer" || wrong "what it read: $(head -c 500 "$work/answer")"
inside /opt/tessera/tessera extract /opt/tessera/two-pages-of-text.pdf --json >"$work/answer" || wrong "reads no PDF"
grep -q '"finish_reason":"stop"' "$work/answer" || wrong "what it read: $(head -c 500 "$work/answer")"

# A reload exchanges the model; the process stays.
inside systemctl reload tessera || wrong "does not reload"
until_true 60 "the model is exchanged" reloaded done
is MainPID "$main" || wrong "a reload is another process"

# A stop waits for what runs.
configure 'weights = "fake:step=20ms"'
inside systemctl restart tessera || wrong "does not restart"
until_true 60 "it serves again" serving
inside /opt/tessera/tessera extract /opt/tessera/receipt-01.png --json >"$work/answer" &
reading=$!
until_true 30 "an answer is written" running 1
inside systemctl stop tessera
wait "$reading" || wrong "a stop cuts an answer"
is Result success && is ActiveState inactive || wrong "a stop is a failure"

# A crash is a restart.
inside systemctl start tessera
until_true 60 "it serves after a stop" serving
inside systemctl kill --kill-who=main --signal=KILL tessera
until_true 30 "it is started again after a crash" is NRestarts 1
until_true 60 "it serves after a crash" serving

# A wrong configuration never runs, and the journal says what is wrong.
configure 'slots = "many"'
if inside systemctl restart tessera 2>/dev/null; then wrong "starts with a wrong configuration"; fi
until_true 10 "the mistake is in the journal" logged 'slots .many.: is not a whole number'
inside systemctl stop tessera
inside systemctl reset-failed tessera

# A key that is a group's, as the file of options says.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout "$work/etc/tls.key" -out "$work/etc/tls.crt" 2>/dev/null
inside groupadd --system tessera-tls
inside chgrp tessera-tls /etc/tessera/tls.key
chmod 640 "$work/etc/tls.key"
configure 'tls-cert = "/etc/tessera/tls.crt"' 'tls-key = "/etc/tessera/tls.key"'
if inside systemctl start tessera 2>/dev/null; then wrong "reads a key that is not for its group"; fi
inside systemctl stop tessera
inside systemctl reset-failed tessera
inside mkdir -p /etc/systemd/system/tessera.service.d
inside sh -c 'printf "[Service]\nSupplementaryGroups=video tessera-tls\n" >/etc/systemd/system/tessera.service.d/override.conf'
inside systemctl daemon-reload
inside systemctl start tessera || wrong "does not start with a key of its group"
until_true 60 "it serves TLS" serving
inside /opt/tessera/tessera extract /opt/tessera/receipt-01.png --json --server https://127.0.0.1:50051 \
    --ca /etc/tessera/tls.crt >"$work/answer" || wrong "answers nobody over TLS"

echo "systemd $(systemctl --version | awk 'NR == 1 { print $2 }'): the unit starts, reads, reloads, drains, restarts after a crash, refuses a wrong configuration, has its group's key"
