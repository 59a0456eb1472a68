#!/bin/sh
# Puts together the file system of an image that has nothing but the server: the libraries that its binary is linked to,
# the authorities of TLS, a user. No shell, no package manager. The container files run it in the stage whose
# libraries these are; validate/image.sh runs it, and what it made, on any Debian.
#
#   deploy/rootfs.sh BINARY ROOT [LIBRARY…]
#
# Each LIBRARY, a path, is one that no file is linked to and that is opened by its name.
set -eu
[ -x "$1" ] || { echo "no program: $1" >&2; exit 1; }
binary=$1
root=$2
shift 2

# The driver's own comes from the machine that the image runs on.
linked=$(ldd "$binary" "$@" | awk '$1 != "libcuda.so.1"')
if printf '%s\n' "$linked" | grep 'not found' >&2; then exit 1; fi
# One directory for all of them, which the loader knows without being told.
libraries=$(dirname "$(printf '%s\n' "$linked" | awk '$1 == "libc.so.6" { print $3; exit }')")
libraries=$root/usr/lib/$(basename "$libraries")
mkdir -p "$libraries" "$root/etc/ssl/certs" "$root/usr/share/doc" "$root/var/lib/dpkg/status.d"

# What scanners ask for, and what licences ask for: which package a file is of.
package() {
    found=$(dpkg-query --search "*/$(basename "$(readlink -f "$1")")" 2>/dev/null | head -n 1 | cut -d : -f 1)
    if [ -z "$found" ]; then
        echo "of no package: $1" >&2
        return
    fi
    dpkg-query --status "$found" >"$root/var/lib/dpkg/status.d/$found"
    mkdir -p "$root/usr/share/doc/$found"
    [ ! -e "/usr/share/doc/$found/copyright" ] || cp -L "/usr/share/doc/$found/copyright" "$root/usr/share/doc/$found/"
}

# Under the names by which they are asked for; the loader at its own path, which stands in the binary.
{
    printf '%s\n' "$linked" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'
    for library in "$@"; do echo "$library"; done
} | sort -u | while read -r library; do
    cp -L "$library" "$libraries/"
    package "$library"
done
printf '%s\n' "$linked" | awk '$1 ~ /^\/.*\/ld-/ { print $1 }' | sort -u | while read -r loader; do
    mkdir -p "$root$(dirname "$loader")"
    cp -L "$loader" "$root$loader"
done

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
package /usr/share/ca-certificates/mozilla
# Which release the packages are of; by debian_version NVIDIA's runtime knows where this loader looks.
cp -L /etc/os-release /etc/debian_version "$root/etc/"
# Names: the files that a runtime puts there, then name servers.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'tessera:x:65532:65532::/:/nonexistent' >"$root/etc/passwd"
echo 'tessera:x:65532:' >"$root/etc/group"
