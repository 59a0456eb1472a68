#!/bin/sh
# Generates the code of all clients from proto/, and the playground's bundle: what to run after a change
# there. Needs Python, Go and npm; tools that are missing are installed beside each client.
set -eu
cd "$(dirname "$0")"

[ -x python/.venv/bin/python ] || python3 -m venv python/.venv
python/.venv/bin/python -c 'import grpc_tools' 2>/dev/null ||
    python/.venv/bin/python -m pip install --quiet --disable-pip-version-check -e 'python[dev]'
python/.venv/bin/python python/generate.py
PROTOC="$PWD/python/.venv/bin/python -m grpc_tools.protoc" go/generate.sh
cd web
[ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error
npm run --silent generate
