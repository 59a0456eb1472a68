"""The committed code is what `generate.py` makes of `proto/`."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="needs grpcio-tools: install the extra `dev`")
    from generate import generate

    generate(tmp_path)
    assert sources(HERE / "tessera") == sources(tmp_path / "tessera"), "run generate.py"


def sources(root: Path) -> dict[str, str]:
    return {
        str(file.relative_to(root)): file.read_text(encoding="utf-8")
        for file in root.rglob("*_pb2*")
        if file.suffix in {".py", ".pyi"}
    }
