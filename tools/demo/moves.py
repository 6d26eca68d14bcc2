"""Which terminator pair went to which side, when and why: read from the journal, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Line = Mapping[str, Any]
"""One line of events.jsonl or faults.jsonl."""

_CAUSES = {
    "PortWentDown": "port-down",
    "ServerPortWentDown": "server-port-down",
    "ServerFailed": "server-failed",
    "SwitchHadLearned": "learned",
    "HoldExpired": "wait-to-restore",
}


@dataclass(frozen=True)
class Move:
    """A terminator pair changed its side."""

    time_s: float
    """When it was decided, seconds since the epoch."""
    pair: str
    side: str
    """Where it went: `active` or `spare`."""
    cause: str
    """The kind of event: `bounce`, `port-down`, `failback`..."""
    because: str
    """The controller's reason."""


class Sides:
    """Where every pair is, as the journal tells it from its beginning on."""

    def __init__(self, pairs: Iterable[str]) -> None:
        """`pairs`: every terminator pair of the configuration, as `server+k`; all begin on their active side."""
        self.side_of = {pair: "active" for pair in pairs}
        self.moves: list[Move] = []

    def read(self, line: Line) -> list[Move]:
        """The moves that one line of the journal brings, in the order of the pairs."""
        before = dict(self.side_of)
        because: dict[str, str] = {}
        for command in line.get("commands", ()):
            for pair in self._steered(command):
                self.side_of[pair] = command["side"]
                because[pair] = command["because"]
        moved = [
            Move(line["time"], pair, side, cause_of(line["event"]), because[pair])
            for pair, side in self.side_of.items()
            if side != before[pair]
        ]
        self.moves += moved
        return moved

    def all_on(self, side: str, pairs: Iterable[str]) -> bool:
        return all(self.side_of[pair] == side for pair in pairs)

    def _steered(self, command: Mapping[str, Any]) -> list[str]:
        if command["type"] == "SteerPair":
            return [pair for pair in self.side_of if pair == command["pair"]]
        if command["type"] == "SteerServer":
            return [pair for pair in self.side_of if pair.rpartition("+")[0] == command["server"]]
        return []


def cause_of(event: Mapping[str, Any]) -> str:
    """The kind of an event in one word."""
    kind = str(event["type"])
    if kind == "RequestBounced":
        return str(event["via"])
    if kind == "OperatorAsked":
        return str(event["action"])
    return _CAUSES.get(kind, kind)
