"""setuptools' build backend, plus one file in every wheel: the `.pth` that loads ryu_apps.compat.

Used by `pip install .` and `pip install -e .` alike (PEP 517 and PEP 660 hooks), because a `.pth` file belongs in
site-packages itself, where setuptools' own options put nothing. Why a `.pth`: docs/decisions/0001.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

PTH_NAME = "kirikae_ryu_compat.pth"
"""Sorts after setuptools' `__editable__.*.pth`, which makes ryu_apps importable in an editable install."""

PTH_CONTENT = b"import ryu_apps.compat; ryu_apps.compat.install()\n"


def build_wheel(wheel_directory: str, *arguments: Any, **options: Any) -> str:
    """PEP 517. Returns the name of the wheel in wheel_directory."""
    return _with_pth(wheel_directory, build_meta.build_wheel(wheel_directory, *arguments, **options))


def build_editable(wheel_directory: str, *arguments: Any, **options: Any) -> str:
    """PEP 660. Returns the name of the wheel in wheel_directory."""
    return _with_pth(wheel_directory, build_meta.build_editable(wheel_directory, *arguments, **options))


def _with_pth(wheel_directory: str, name: str) -> str:
    """Rewrite the wheel with the .pth at its root and a line for it in RECORD (binary distribution format, PEP 427)."""
    wheel = Path(wheel_directory, name)
    rewritten = wheel.with_suffix(".rewritten")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                target.writestr(zipfile.ZipInfo(PTH_NAME, entry.date_time), PTH_CONTENT)
                content += _record_line()
            target.writestr(entry, content)
    os.replace(rewritten, wheel)
    return name


def _record_line() -> bytes:
    digest = base64.urlsafe_b64encode(hashlib.sha256(PTH_CONTENT).digest()).rstrip(b"=")
    return b"%s,sha256=%s,%d\n" % (PTH_NAME.encode(), digest, len(PTH_CONTENT))
