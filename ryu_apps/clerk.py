"""Writes down what was decided, beside the handlers: state to SQLite, journal to a file.

A takeover never waits for a disk. What is written is in the order of the decisions.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from kirikae.decision.journal import Journal
from kirikae.decision.store import Store
from ryu.lib import hub

from kirikae.decision.commands import Command
from kirikae.decision.events import Event
from kirikae.decision.machine import AccessControl
from kirikae.decision.snapshot import Snapshot

LOG = logging.getLogger("kirikae.clerk")


class Clerk:
    """One green thread, one queue of things to write."""

    def __init__(self, directory: Path, journal: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.store = Store(directory / "state.sqlite")
        self.journal = Journal(journal)
        self._queue = hub.Queue()
        self._thread = None

    def load(self) -> Snapshot | None:
        """The stored state, None at the very first start."""
        return self.store.load()

    def start(self) -> None:
        self._thread = hub.spawn(self._write)

    def stop(self) -> None:
        if self._thread is not None:
            hub.kill(self._thread)
        self.store.close()

    def _write(self) -> None:
        while True:
            task, args = self._queue.get()
            try:
                task(*args)
            except OSError as error:
                LOG.error("could not write: %s; decisions go on unrecorded until there is room again", error)

    def decided(self, number: int, at: float, event: Event, commands: list[Command]) -> None:
        self._queue.put((self.journal.decided, (number, at, event, commands)))

    def applied(self, switch: str, decision: int | None, flow_mods: int, milliseconds: float) -> None:
        record = {"switch": switch, "decision": decision, "flow_mods": flow_mods, "barrier_ms": round(milliseconds, 3)}
        self._queue.put((self.journal.record, ("applied", record, time.time())))

    def noted(self, what: str, **details: object) -> None:
        self._queue.put((self.journal.record, ("noted", {"what": what, **details}, time.time())))

    def persist(self, machine: AccessControl, server: str) -> None:
        self._queue.put((self.store.save, (server, machine.server_snapshot(server))))
