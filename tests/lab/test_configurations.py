"""What a configuration may ask for besides Figure 1: several server pairs, users who talk to each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.configurations import EXAMPLES, figure1
from tests.lab.conftest import Build
from tests.lab.world import World
from tools.processes import LabError

pytestmark = pytest.mark.lab


def test_a_server_pair_is_taken_over_and_the_other_stays(build: Build):
    """tokyo speaks IPv4, osaka IPv6; osaka's active terminators are where tokyo's spare ones are."""
    world = build(EXAMPLES / "two-server-pairs.yaml")
    tokyo, osaka = ["u1", "u2", "u3"], ["u4", "u5", "u6"]
    with world.requests(rate=100) as requests:
        requests.wait_answers()
        world.faults.kill_server("2sva")
        requests.wait_answers(50)
    assert (requests.lost, requests.twice) == ({}, {})
    assert all(requests.sides(user) == ["active"] for user in tokyo)
    assert all(requests.sides(user) == ["active", "spare"] for user in osaka)
    assert requests.servers("u6") == {("fd00:b::110", 5), ("fd00:b::120", 5)}
    with world.requests(rate=100) as requests:
        requests.wait_answers()
        world.faults.kill_server("sva")
        requests.wait_answers(50)
    assert (requests.lost, requests.twice) == ({}, {})
    assert all(requests.sides(user) == ["active", "spare"] for user in tokyo)
    assert all(requests.sides(user) == ["spare"] for user in osaka)
    assert [move.partition(":")[0] for move in world.moves()][1::2] == ["osaka to spare", "tokyo to spare"]
    world.wait_agreed()


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("version", [4, 6])
def test_users_talk_to_each_other_only_when_they_may(build: Build, run_dir: Path, version: int, allowed: bool):
    world = build(figure1(run_dir, policy=f"users_may_talk: {str(allowed).lower()}", version=version))
    assert reaches(world, "u1", "u2") is allowed
    assert reaches(world, "u3", "u1") is allowed
    assert (world.drops("not-for-service") == 0) is allowed


def reaches(world: World, user: str, other: str) -> bool:
    """One user terminal pings another."""
    try:
        world.lab.run(user, "ping", "-c", "1", "-W", "1", str(world.lab.network.host(other).addresses[0]))
    except LabError:
        return False
    return True
