"""The state of the machine in an SQLite file, so that a restarted controller knows where everything is steered.

One row for each server pair and for each terminator pair that has a record of its own; a save writes the rows that
changed, in one transaction. WAL with synchronous=NORMAL: a killed controller loses nothing, a power failure at most
the last decisions, and never the file (https://sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from kirikae.decision.codec import CannotDecode, decode, encode
from kirikae.decision.snapshot import ServerSnapshot, Snapshot
from kirikae.decision.state import Record

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4B694B69
"""`KiKi`, in the header of the file (https://sqlite.org/pragma.html#pragma_application_id)."""
SCHEMA = """
CREATE TABLE unit (
    server TEXT NOT NULL,
    k INTEGER NOT NULL,    -- 0: the server pair itself
    record TEXT NOT NULL,  -- JSON of kirikae.decision.state.Record
    PRIMARY KEY (server, k)
) WITHOUT ROWID
"""
SERVER_ROW = 0


class StoreError(Exception):
    """The state file cannot be used; the message says why and what to do."""


class Store:
    """An open state file. Raises StoreError for a file that is damaged, newer than this program, or something else."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._saved: dict[str, ServerSnapshot] = {}
        """What the file holds, so that a save writes only what differs."""
        with self._mended():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A writer beside the handlers may be another thread; never two at a time.
            self._db = sqlite3.connect(self.path, timeout=2.0, isolation_level=None, check_same_thread=False)
        try:
            with self._mended():
                self._prepare()
        except StoreError:
            self._db.close()
            raise

    def load(self) -> Snapshot | None:
        """What was saved; None when nothing was. Raises StoreError for rows that cannot be read."""
        servers: dict[str, Record] = {}
        pairs: dict[str, dict[int, Record]] = {}
        with self._mended():
            for server, k, text in self._db.execute("SELECT server, k, record FROM unit"):
                record = decode(Record, json.loads(text))
                if k == SERVER_ROW:
                    servers[server] = record
                else:
                    pairs.setdefault(server, {})[k] = record
            if orphans := pairs.keys() - servers.keys():
                raise CannotDecode(f"terminator pairs without their server pair: {', '.join(sorted(orphans))}")
        self._saved = {name: ServerSnapshot(record, pairs.get(name, {})) for name, record in servers.items()}
        return Snapshot(dict(self._saved)) if servers else None

    def save(self, server: str, state: ServerSnapshot) -> None:
        """Make the file hold this state of one server pair. Raises StoreError; the file then holds the one before."""
        saved = self._saved.get(server)
        before = _rows(saved) if saved else {}
        after = _rows(state)
        changed = [(server, k, _text(record)) for k, record in after.items() if before.get(k) is not record]
        gone = [(server, k) for k in before.keys() - after.keys()]
        with self._mended(), self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO unit VALUES (?, ?, ?)", changed)
            self._db.executemany("DELETE FROM unit WHERE server = ? AND k = ?", gone)
        self._saved[server] = state

    def keep_only(self, state: Snapshot) -> None:
        """Make the file hold exactly this state: after a start with a changed configuration."""
        for server in self._saved.keys() - state.servers.keys():
            with self._mended(), self._transaction():
                self._db.execute("DELETE FROM unit WHERE server = ?", (server,))
            del self._saved[server]
        for server, part in state.servers.items():
            self.save(server, part)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        """Make a new file's table, or make sure that an existing file is ours, whole, and not newer."""
        if not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._create()
        application, version = (self._pragma(name) for name in ("application_id", "user_version"))
        if application != APPLICATION_ID:
            raise StoreError(f"{self.path} is an SQLite file of another program; configure another state directory")
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} has format {version}, this program knows {SCHEMA_VERSION}: "
                "run the Kirikae that wrote it, or move the file away"
            )
        damage = self._pragma("quick_check(1)")
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)
        self._pragma("journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")

    def _create(self) -> None:
        with self._transaction():
            self._db.execute(SCHEMA)
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _pragma(self, name: str) -> object:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """Turn what can go wrong with a file into one error that says what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{self.path} cannot be used ({error}): is there space, are its rights as they should be, "
                "does another controller use it?"
            ) from error
        except OSError as error:
            raise StoreError(f"{self.path} cannot be used ({error}): configure another state directory") from error
        except (sqlite3.DatabaseError, CannotDecode, json.JSONDecodeError) as error:
            what = " ".join(str(error).split())
            raise StoreError(
                f"{self.path} is damaged ({what}): move it away and start again; every server pair then begins on its "
                "active side, and takeovers that switches have learned are adopted"
            ) from error


def _rows(state: ServerSnapshot) -> dict[int, Record]:
    return {SERVER_ROW: state.record, **state.pairs}


def _text(record: Record) -> str:
    return json.dumps(encode(record), ensure_ascii=False)
