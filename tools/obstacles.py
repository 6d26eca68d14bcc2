"""What keeps a lab from running on this machine, and how to mend it."""

from __future__ import annotations

import os
import shutil
import subprocess

_PROGRAMS = ("ovs-vsctl", "ovs-ofctl", "mnexec", "tcpdump", "tshark", "ethtool", "ip")
_DAEMONS = ("ovsdb-server", "ovs-vswitchd")


def lab_obstacle(what: str, command: str) -> str | None:
    """Why `what` (in the plural) cannot run and what to do about it; None when it can. `command` starts it."""
    if os.geteuid() != 0:
        return f"{what} need root: sudo {command}"
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            return f"{what} need {program}: tools/setup installs it"
    for daemon in _DAEMONS:
        ping = subprocess.run(
            ["ovs-appctl", "--timeout=5", f"--target={daemon}", "version"], capture_output=True, check=False
        )
        if ping.returncode != 0:
            return f"{what} need Open vSwitch, and {daemon} does not answer: tools/setup starts it"
    return None
