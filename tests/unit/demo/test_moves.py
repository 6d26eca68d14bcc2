"""Which pair went where, and why, from the journal."""

from __future__ import annotations

import pytest

from tests.unit.demo.journal import PAIRS, T, applied, asked, bounced, decision, notify, port_down, steer
from tools.demo.moves import Move, Sides, cause_of


def test_a_bounce_moves_its_pair_and_a_quorum_the_others() -> None:
    sides = Sides(PAIRS)
    assert sides.read(decision(1, 2.0, bounced(2), steer("tokyo+2", "spare", "first"))) == [
        Move(T + 2.0, "tokyo+2", "spare", "bounce", "first")
    ]
    assert sides.read(decision(2, 2.1, bounced(1), steer("tokyo", "spare", "quorum"))) == [
        Move(T + 2.1, "tokyo+1", "spare", "bounce", "quorum"),
        Move(T + 2.1, "tokyo+3", "spare", "bounce", "quorum"),
    ]
    assert sides.all_on("spare", PAIRS)


def test_a_pair_that_stays_behind_did_not_move() -> None:
    sides = Sides(PAIRS)
    stays = steer("tokyo+3", "active", "tokyo+3 is locked")
    moved = sides.read(decision(1, 2.0, bounced(1), steer("tokyo", "spare", "quorum"), stays))
    assert [(move.pair, move.because) for move in moved] == [("tokyo+1", "quorum"), ("tokyo+2", "quorum")]
    assert not sides.all_on("spare", PAIRS)


def test_another_server_pair_is_not_concerned() -> None:
    sides = Sides([*PAIRS, "osaka+1"])
    sides.read(decision(1, 2.0, bounced(1), steer("tokyo", "spare", "quorum")))
    assert sides.side_of["osaka+1"] == "active"


def test_lines_that_move_nothing() -> None:
    sides = Sides(PAIRS)
    assert sides.read(applied(1, 2.0, "s1", 0.8)) == []
    assert sides.read(decision(1, 2.0, bounced(1), notify("tokyo+1 is locked"))) == []
    assert sides.read(decision(1, 2.0, asked("failback", "tokyo"), steer("tokyo", "active", "again"))) == []
    assert sides.moves == []


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (bounced(1), "bounce"),
        (bounced(1) | {"via": "icmp"}, "icmp"),
        (port_down(1), "port-down"),
        (asked("failback", "tokyo"), "failback"),
        ({"type": "ServerFailed", "server": "tokyo", "side": "active", "by": "manager"}, "server-failed"),
        ({"type": "SomethingNew"}, "SomethingNew"),
    ],
)
def test_the_cause_in_one_word(event: dict, cause: str) -> None:
    assert cause_of(event) == cause
