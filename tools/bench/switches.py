"""What the bench asks of Open vSwitch: to empty a switch, how many rules it holds, how much memory it takes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

_OFCTL = ("ovs-ofctl", "-O", "OpenFlow13")
_PID_FILE = Path("/var/run/openvswitch/ovs-vswitchd.pid")


def bridges() -> list[str]:
    """All that there are now."""
    return subprocess.run(["ovs-vsctl", "--timeout=10", "list-br"], capture_output=True, text=True).stdout.split()


def disconnect(names: Sequence[str]) -> None:
    """Take their controller away."""
    words = ["ovs-vsctl", "--timeout=10"]
    for bridge in names:
        words += ["--", "del-controller", bridge]
    subprocess.run(words, check=True)


def empty(names: Sequence[str]) -> None:
    """Remove every rule, group and meter."""
    for bridge in names:
        for what in ("del-flows", "del-groups", "del-meters"):
            subprocess.run([*_OFCTL, what, bridge], check=True, capture_output=True)


def rules(names: Sequence[str], what: str = "") -> int:
    """How many rules these switches hold together; `what`: as ovs-ofctl takes it (`table=7`, `cookie=.../...`)."""
    return sum(_flow_count(bridge, what) for bridge in names)


def _flow_count(bridge: str, what: str) -> int:
    words = [*_OFCTL, "dump-aggregate", bridge, *([what] if what else [])]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found = re.search(r"flow_count=(\d+)", said)
    return int(found[1]) if found else 0


def memory_mib(pid: int) -> tuple[float, float]:
    """Resident memory of a process now and at its peak (proc_pid_status(5): VmRSS and VmHWM)."""
    said = Path(f"/proc/{pid}/status").read_text()
    now, peak = (re.search(rf"{name}:\s+(\d+) kB", said) for name in ("VmRSS", "VmHWM"))
    return (int(now[1]) / 1024 if now else 0.0), (int(peak[1]) / 1024 if peak else 0.0)


def vswitchd_pid() -> int:
    """Raises OSError when Open vSwitch does not run."""
    return int(_PID_FILE.read_text())
