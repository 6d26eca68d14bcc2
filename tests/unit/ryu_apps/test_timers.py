"""Timers by name, and green threads that do not fail in silence."""

from __future__ import annotations

import time

import pytest
from ryu.lib import hub

from ryu_apps import loud
from ryu_apps.timers import Timers


def let_run(turns: int = 5) -> None:
    for _ in range(turns):
        hub.sleep(0)


@pytest.fixture
def rung():
    return []


def test_a_timer_rings_once(rung):
    timers = Timers(rung.append)
    timers.start("restore server tokyo", time.time())
    assert rung == []
    let_run()
    assert rung == ["restore server tokyo"]


def test_a_timer_in_the_past_rings_at_once(rung):
    Timers(rung.append).start("x", 0.0)
    let_run()
    assert rung == ["x"]


def test_a_stopped_timer_does_not_ring(rung):
    timers = Timers(rung.append)
    timers.start("x", time.time())
    timers.stop("x")
    timers.stop("never started")
    let_run()
    assert rung == []


def test_a_timer_that_is_moved_rings_at_its_new_time(rung):
    timers = Timers(rung.append)
    timers.start("x", 1.0)
    timers.start("x", time.time() + 3600)
    let_run()
    assert rung == []
    timers.start("x", 2.0)
    timers.start("y", 1.0)
    let_run()
    assert sorted(rung) == ["x", "y"]


def test_a_timer_can_start_itself_again(rung):
    def ring(name: str) -> None:
        rung.append(name)
        if len(rung) < 3:
            timers.start(name, float(len(rung)))

    timers = Timers(ring)
    timers.start("x", 0.0)
    let_run(10)
    assert rung == ["x", "x", "x"]


def test_nothing_else_runs_while_timers_are_started_and_stopped(rung):
    timers = Timers(rung.append)
    hub.spawn(rung.append, "somebody else")
    for at in range(10):
        timers.start("x", float(at))
        timers.stop("x")
    assert rung == []
    let_run()
    assert rung == ["somebody else"]


def test_a_green_thread_that_fails_ends_the_controller(ended, caplog):
    def fail() -> None:
        raise ValueError("half a decision")

    loud.spawn(fail)
    loud.spawn_after(0.0, fail)
    let_run()
    assert ended == [70, 70]
    assert "half a decision" in caplog.text
    ended.clear()


def test_a_green_thread_that_is_stopped_does_not(ended):
    thread = loud.spawn(hub.sleep, 3600)
    let_run()
    hub.kill(thread)
    let_run()
