"""The package as a user gets it: typed, built as a wheel, installed where nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]


def test_all_clients_have_the_servers_version() -> None:
    """They are released with the protocol that they were generated from."""
    root = HERE.parents[1]
    rust = tomllib.loads((root / "Cargo.toml").read_text())["package"]["version"]
    python = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["version"]
    web = json.loads((root / "clients" / "web" / "package.json").read_text())["version"]
    assert (python, web) == (rust, rust)


def test_types_are_whole() -> None:
    pytest.importorskip("mypy", reason="needs mypy: install the extra `dev`")
    result = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=HERE, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_wrong_calls_are_found_by_their_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="needs mypy: install the extra `dev`")
    program = tmp_path / "program.py"
    lines = [
        "from tessera import AsyncClient, Client, ClientOptions, Task",
        'options: ClientOptions = {"timeout": 5.0}',
        'task: Task = {"prompt": "What?"}',
        'right = Client("localhost:50051", **options).batch([b"page"], **task)',
        "Client(adress=1)",
        'AsyncClient(timeout="5 s")',
        'Client().stream(b"page", promt="What?")',
    ]
    program.write_text("\n".join(lines))
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", program.name],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(HERE)},
    )
    said = (line.split(":") for line in result.stdout.splitlines())
    wrong = [int(parts[1]) for parts in said if parts[0] == program.name and parts[2] == " error"]
    assert wrong == [5, 6, 7], result.stdout + result.stderr


def test_the_wheel_works_where_nothing_else_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(
        HERE, source, ignore=shutil.ignore_patterns(".venv", "*.egg-info", "build", ".*_cache")
    )
    pip(sys.executable, "wheel", "--no-deps", "-w", str(tmp_path), str(source))
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "tessera/py.typed" in names and "tessera/v1/extraction_pb2.pyi" in names
    assert not [name for name in names if name.startswith(("tests", "examples", "extract"))]

    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip(python, "install", str(wheel))
    program = (
        "from tessera import AsyncClient, Client, UnavailableError\n"
        "with Client('127.0.0.1:1', attempts=1) as client:\n"
        "    try:\n"
        "        client.extract(b'page', document_type='receipt', timeout=5)\n"
        "    except UnavailableError as error:\n"
        "        print(error.code.name)\n"
    )
    result = subprocess.run(
        [python, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert result.stdout.strip() == "UNAVAILABLE", result.stderr


def pip(python: str, *args: str) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if result.returncode != 0 and "No matching distribution" in result.stderr:
        pytest.skip(f"no package index is reached: {result.stderr.strip().splitlines()[-1]}")
    assert result.returncode == 0, result.stderr
