"""What the figures were taken on: they mean little without it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from topologies.network import ovs_datapath


def describe() -> dict[str, str | int | float]:
    return {
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "processor": _find(Path("/proc/cpuinfo"), r"model name\s*: (.*)") or platform.machine(),
        "processors": os.cpu_count() or 1,
        "memory_gib": round(int(_find(Path("/proc/meminfo"), r"MemTotal:\s+(\d+)") or 0) / 2**20, 1),
        "kernel": platform.release(),
        "system": _find(Path("/etc/os-release"), r'PRETTY_NAME="(.*)"'),
        "open_vswitch": _version("ovs-vswitchd", "--version"),
        "datapath": ovs_datapath(),
        "python": platform.python_version(),
        "commit": _version("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"),
        "load_before": os.getloadavg()[0],
    }


def in_words(machine: dict[str, str | int | float]) -> str:
    return (
        f"{machine['processors']} x {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Linux {machine['kernel']}, {machine['open_vswitch']} ({machine['datapath']} datapath), "
        f"Python {machine['python']}, commit {machine['commit'] or 'unknown'}; load {machine['load_before']:.2f} before"
    )


def _find(file: Path, pattern: str) -> str:
    try:
        found = re.search(pattern, file.read_text())
    except OSError:
        return ""
    return found[1].strip() if found else ""


def _version(*command: str) -> str:
    """The first line that a program prints; empty when it cannot."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0].strip()
