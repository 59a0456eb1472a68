"""Generates the Python code of `proto/tessera/v1` into `tessera/v1`.

    python -m pip install -e '.[dev]'
    python generate.py

The result is committed, so that a user needs no code generator. `tests/test_generated.py`
fails when it no longer matches the protocol.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTO_ROOT = HERE.parents[1] / "proto"


def generate(out: Path) -> None:
    """Writes `*_pb2.py`, `*_pb2.pyi` and `*_pb2_grpc.py` below `out/tessera/v1`."""
    from grpc_tools import protoc

    well_known = Path(protoc.__file__).resolve().parent / "_proto"
    files = sorted(PROTO_ROOT.glob("tessera/v1/*.proto"))
    if not files:
        raise SystemExit(f"no proto files below {PROTO_ROOT}")
    out.mkdir(parents=True, exist_ok=True)
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO_ROOT}",
            f"--proto_path={well_known}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            f"--grpc_python_out={out}",
            *(str(file.relative_to(PROTO_ROOT)) for file in files),
        ]
    )
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}")
    # Only extraction.proto has a service; the others' gRPC files would be empty.
    for file in files:
        if "\nservice " not in file.read_text(encoding="utf-8"):
            (out / "tessera" / "v1" / f"{file.stem}_pb2_grpc.py").unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Generates the Python code of proto/tessera/v1.")
    parser.add_argument("out", nargs="?", type=Path, default=HERE, help="the folder that gets tessera/v1")
    generate(parser.parse_args().out)
