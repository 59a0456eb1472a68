"""The README's programs, run as they are written, but for the server's address."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
SAMPLES = HERE.parents[1] / "models" / "tessera-tiny" / "samples"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", (HERE / "README.md").read_text(), re.S | re.M)
#: What each has to print.
SAYS = [
    "$5976.93",
    "/TOTAL_AMOUNT $5976.93",
    "'TOTAL_AMOUNT': '$5976.93'",
    "$5976.93 5976.93",
    "notes.txt INVALID_ARGUMENT INVALID_FIELD ['files[0].content']\nreceipt.png $5976.93",
]


@pytest.mark.parametrize(("program", "says"), list(zip(PROGRAMS, SAYS, strict=True)))
def test_a_program_of_the_readme(
    server: Callable[..., str], tmp_path: Path, program: str, says: str
) -> None:
    (tmp_path / "scans").mkdir()
    for name in ("receipt.png", "scans/a.png"):
        shutil.copy(SAMPLES / "receipt-01.png", tmp_path / name)
    (tmp_path / "notes.txt").write_text("no page")
    assert "localhost:50051" in program
    program = program.replace("localhost:50051", server())
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0 and says in result.stdout, result.stdout + result.stderr
