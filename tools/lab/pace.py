"""When to send: an absolute schedule, so that a late request does not delay those after it."""

from __future__ import annotations

import time


class Schedule:
    """`rate` requests a second from the first on, `count` of them, or until `duration_s` is over."""

    def __init__(self, rate: float, count: int | None, duration_s: float | None) -> None:
        self._interval_ns = 1e9 / rate
        ends = [n for n in (count, None if duration_s is None else round(rate * duration_s)) if n is not None]
        self._count = min(ends) if ends else None
        self._start_ns = 0
        self._taken = 0

    def start(self) -> None:
        self._start_ns = time.monotonic_ns()

    def stop(self) -> None:
        """Nothing more is to be sent."""
        self._count = self._taken

    @property
    def finished(self) -> bool:
        return self._count is not None and self._taken >= self._count

    def wait_s(self) -> float:
        """Seconds until the next request is due; 0 when it is."""
        due_ns = self._start_ns + self._taken * self._interval_ns
        return max(due_ns - time.monotonic_ns(), 0.0) / 1e9

    def take(self) -> bool:
        """True if a request is due now; it then counts as sent."""
        if self.finished or self.wait_s() > 0.0:
            return False
        self._taken += 1
        return True
