"""Writes down what was decided, beside the handlers: state to SQLite, journal to a file.

A takeover never waits for a disk. What is written is in the order of the decisions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ryu.lib import hub

from kirikae.configuration.model import Configuration
from kirikae.decision.commands import Command
from kirikae.decision.events import Event
from kirikae.decision.journal import Journal
from kirikae.decision.machine import AccessControl
from kirikae.decision.snapshot import Snapshot
from kirikae.decision.store import Store, StoreError

LOG = logging.getLogger("kirikae.clerk")
DECISIONS_KEPT = 1000
"""Decisions whose line is remembered for the switches' confirmations, which come within seconds."""


class Clerk:
    """One green thread, one queue of things to write."""

    def __init__(self, directory: Path, journal: Path) -> None:
        """Raises StoreError or JournalError when what is there is not ours, OSError when nothing can be written."""
        directory.mkdir(parents=True, exist_ok=True)
        self.store = Store(directory / "state.sqlite")
        self.journal = Journal(journal)
        self._queue = hub.Queue()
        self._thread = None
        self._lines: dict[int, int] = {}
        """Number of a decision -> id of its line in the journal."""

    def load(self) -> Snapshot | None:
        """The stored state, None at the very first start. Raises StoreError."""
        return self.store.load()

    def start(self, configuration: Configuration, machine: AccessControl) -> None:
        """Begin to write; what a changed configuration dropped is dropped from the stored state, too."""
        state = machine.snapshot()
        self._put(self.store.keep_only, state)
        self._put(self.journal.started, time.time(), configuration, state)
        self._thread = hub.spawn(self._write)

    def stop(self) -> None:
        if self._thread is not None:
            hub.kill(self._thread)
        self.store.close()
        self.journal.close()

    def decided(self, number: int, at: float, event: Event, commands: list[Command]) -> None:
        self._put(self._decided, number, at, event, commands)

    def applied(self, switch: str, decision: int | None, flow_mods: int, milliseconds: float) -> None:
        """A switch confirmed what it was sent; `decision`: its number, None when it was no decision's doing."""
        self._put(self._applied, time.time(), switch, decision, flow_mods, round(milliseconds, 3))

    def noted(self, what: str, **details: object) -> None:
        self._put(self.journal.noted, time.time(), what, details)

    def persist(self, machine: AccessControl, server: str) -> None:
        self._put(self.store.save, server, machine.server_snapshot(server))

    def _put(self, task: Callable[..., Any], *args: Any) -> None:
        self._queue.put((task, args))

    def _write(self) -> None:
        while True:
            task, args = self._queue.get()
            try:
                task(*args)
            except (OSError, StoreError) as error:
                LOG.error("could not write: %s; decisions go on unrecorded until there is room again", error)

    def _decided(self, number: int, at: float, event: Event, commands: list[Command]) -> None:
        self._lines[number] = self.journal.decided(at, event, commands)
        if len(self._lines) > DECISIONS_KEPT:
            del self._lines[next(iter(self._lines))]

    def _applied(self, at: float, switch: str, decision: int | None, flow_mods: int, barrier_ms: float) -> None:
        line = self._lines.get(decision) if decision is not None else None
        self.journal.applied(at, switch, line, flow_mods, barrier_ms)
