"""What the programs of the lab share: their JSON log lines, how they are told to stop, and a quiet interpreter."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_TIMERSLACK = 29  # linux/prctl.h


def say(**fields: Any) -> None:
    """Print one JSON line with the time (epoch seconds), for the log and for whoever follows it."""
    sys.stdout.write(json.dumps({"time": round(time.time(), 6), **fields}) + "\n")
    sys.stdout.flush()


def stay_quiet() -> None:
    """Keep the interpreter and the kernel's timers out of the way of latency: no garbage collection, exact wake-ups."""
    gc.collect()
    gc.freeze()
    gc.disable()
    # 1 ns instead of the default 50 µs by which the kernel may delay a wake-up (prctl(2), PR_SET_TIMERSLACK).
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def allow_many_files() -> None:
    """Raise the limit of open files to what the system allows: a host may hold thousands of terminators."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class StopFlag:
    """True once SIGTERM or SIGINT came; the loops look at it, nothing is interrupted half-way."""

    def __init__(self) -> None:
        self.is_set = False

    def listen(self) -> StopFlag:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)
        return self

    def _set(self, _number: int, _frame: object) -> None:
        self.is_set = True


def write_json(path: Path, value: object) -> None:
    """Write a file at once or not at all: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(json.dumps(value))
    os.replace(half, path)
