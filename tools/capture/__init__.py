"""Capture verification: what the packets of one run of a lab prove, claim by claim.

The dissector is tshark; nothing of Kirikae's own packet code is used, and the address plan is worked out again here
from the configuration file. `verify` is the entry; `tools/verify_capture.py` is the command.
"""

from __future__ import annotations

from tools.capture.report import Evidence, Verdict, Verdicts
from tools.capture.rundir import Incomplete
from tools.capture.verify import verify

__all__ = ["Evidence", "Incomplete", "Verdict", "Verdicts", "verify"]
