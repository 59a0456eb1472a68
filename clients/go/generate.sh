#!/bin/sh
# Generates the Go code of proto/tessera/v1 into tesserav1/, or into the directory given.
#
# Needs Go and a protoc. Without one, the protoc inside grpcio-tools serves:
#   python -m pip install grpcio-tools==1.85.1
#   PROTOC='python -m grpc_tools.protoc' ./generate.sh
# The plugins' releases are those of the `tool` lines in go.mod.
set -eu
cd "$(dirname "$0")"

out=${1:-tesserav1}
package='github.com/tessera-server/tessera/clients/go/tesserav1'
plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
GOBIN="$plugins" go install tool

set -- extraction model_info schema
options=''
files=''
for name in "$@"; do
    options="$options --go_opt=Mtessera/v1/$name.proto=$package --go-grpc_opt=Mtessera/v1/$name.proto=$package"
    files="$files tessera/v1/$name.proto"
done
mkdir -p "$out"
# Word splitting is wanted: PROTOC may hold arguments, the lists hold no spaces inside a word.
# shellcheck disable=SC2086
${PROTOC:-protoc} --proto_path=../../proto \
    --plugin="protoc-gen-go=$plugins/protoc-gen-go" \
    --plugin="protoc-gen-go-grpc=$plugins/protoc-gen-go-grpc" \
    --go_out="$out" --go_opt=module="$package" \
    --go-grpc_out="$out" --go-grpc_opt=module="$package" \
    $options $files
