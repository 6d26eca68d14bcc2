"""The wheel of this project carries the `.pth` that makes the stock `ryu-manager` work."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PTH = "kirikae_ryu_compat.pth"


@pytest.mark.parametrize("hook", ["build_wheel", "build_editable"])
def test_wheel_carries_the_pth(tmp_path: Path, hook: str) -> None:
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "out", "build", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, source, ignore=ignored)
    program = f"import sys; sys.path.insert(0, 'build_backend'); import kirikae_build as b; b.{hook}({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(PTH)
        names = archive.namelist()
        (record,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/RECORD"))
    assert content == b"import ryu_apps.compat; ryu_apps.compat.install()\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    assert f"{PTH},sha256={digest},{len(content)}\n" in record
    assert len(names) == len(set(names)) == len(record.splitlines())
