"""Timers by name. Starting and stopping one never gives way to another green thread."""

from __future__ import annotations

import time
from collections.abc import Callable

from ryu_apps import loud


class Timers:
    """Calls `expired` with the name of a timer that ran out."""

    def __init__(self, expired: Callable[[str], None]) -> None:
        self._expired = expired
        self._ends: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Timers {self._ends}>"

    def start(self, name: str, at: float) -> None:
        """Run out at `at`, seconds since the epoch. A running timer of this name is moved."""
        self._ends[name] = at
        loud.spawn_after(max(0.0, at - time.time()), self._ring, name, at)

    def stop(self, name: str) -> None:
        """Killing the green thread would let others run here; it finds out by itself that nobody waits for it."""
        self._ends.pop(name, None)

    def _ring(self, name: str, at: float) -> None:
        if self._ends.get(name) == at:
            del self._ends[name]
            self._expired(name)
