"""Nobody moves a pair who has no right to, and what is sent in somebody else's name goes nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from kirikae.wire import BOUNCE_MAC, GATEWAY_MAC
from tests.lab.configurations import FIGURE1_OF
from tests.lab.forgeries import MARK, NET, Forgery, forged_bounces, forged_unreachables, spoofed
from tests.lab.switches import count_now
from tests.lab.wire import Wire
from tests.lab.world import World

pytestmark = pytest.mark.lab

ACCESS_HOSTS = ["u1", "u2", "u3", "ta1", "ta2", "ta3", "ts1", "ts2", "ts3"]


@pytest.fixture(scope="module")
def labs(shared_run_dir: Path) -> Iterator[dict]:
    """The lab of the moment: one for IPv4, then one for IPv6. Nothing in this module changes where a pair is."""
    with contextlib.ExitStack() as stack:
        yield {"stack": stack, "run_dir": shared_run_dir}


@pytest.fixture
def world(labs: dict, version: int) -> World:
    if labs.get("version") != version:
        labs["stack"].close()
        labs["world"] = labs["stack"].enter_context(
            World.running(FIGURE1_OF[version], labs["run_dir"] / f"ipv{version}")
        )
        labs["version"] = version
    return labs["world"]


def cases(make) -> pytest.MarkDecorator:
    """Every forgery of one kind, in both IP versions."""
    found = [(version, name) for version in (4, 6) for name in make(NET[version])]
    return pytest.mark.parametrize(("version", "name"), found, ids=[f"IPv{version}-{name}" for version, name in found])


@cases(forged_bounces)
def test_a_forged_bounce_is_dropped_and_counted(world: World, version: int, name: str):
    goes_nowhere(world, forged_bounces(NET[version])[name])


@cases(forged_unreachables)
def test_a_forged_unreachable_moves_nobody(world: World, version: int, name: str):
    goes_nowhere(world, forged_unreachables(NET[version])[name])


@cases(spoofed)
def test_what_nobody_may_send_goes_nowhere(world: World, version: int, name: str):
    goes_nowhere(world, spoofed(NET[version])[name])


@pytest.mark.parametrize("version", [4, 6])
def test_a_request_in_fragments_passes(world: World, version: int):
    net = NET[version]
    large = net.packet(net.user1, net.service) / UDP(sport=4000, dport=5060) / Raw(MARK * 200)
    pieces = fragment(large, 1000) if version == 4 else fragment6(large_with_header(large), 1000)
    with Wire(world.lab, "u1") as user, Wire(world.lab, "ta1") as terminator:
        for piece in pieces:
            user.send(Ether(dst=GATEWAY_MAC, src=user.mac) / piece)
        for _ in pieces:
            terminator.hear(lambda frame: MARK in frame)
    assert len(pieces) == 3


def large_with_header(packet: Packet) -> Packet:
    """An IPv6 packet with the extension header that scapy wants where the fragment header shall be."""
    return IPv6(src=packet.src, dst=packet.dst) / IPv6ExtHdrFragment() / packet.payload


@pytest.mark.parametrize("version", [4, 6])
def test_the_genuine_ones_are_believed(world: World, version: int):
    """Last, because they do move a pair: what the forgeries above were made of is not wrong in any other way."""
    net = NET[version]
    quoted = net.request(net.user2, net.active2)
    with Wire(world.lab, "ta1") as first, Wire(world.lab, "ta2") as second, Wire(world.lab, "ts1") as spare:
        first.send(Ether(dst=BOUNCE_MAC, src=first.mac) / net.request(net.user1, net.active1))
        assert MARK in spare.hear(lambda frame: MARK in frame)
        world.wait_move("tokyo+1 to spare")
        unreachable = net.unreachable(net.active2, net.user2, quoted)
        second.send(Ether(dst=GATEWAY_MAC, src=second.mac) / unreachable)
        world.wait_move("tokyo to spare")  # two of three: the quorum
    world.wait_agreed()


def goes_nowhere(world: World, forgery: Forgery) -> None:
    """Send it; it is counted as it should be, nobody hears it, and nothing moves."""
    # Twice, as the first packet of a flow takes another way through Open vSwitch than those after it. What goes to
    # the controller is limited to some per second: once.
    times = 1 if forgery.fate == "rejected" else 2
    before, decisions = counted(world, forgery.fate), len(world.decisions())
    with contextlib.ExitStack() as stack:
        wires = {host: stack.enter_context(Wire(world.lab, host)) for host in ACCESS_HOSTS}
        frame = forgery.frame.copy()
        frame.src = wires[forgery.sender].mac
        wires[forgery.sender].send(*[frame] * times)
        world.wait(lambda: counted(world, forgery.fate) >= before + times, f"it is counted as {forgery.fate}")
        heard = {host: [frame for frame in wire.heard() if MARK in frame] for host, wire in wires.items()}
    assert {host: frames for host, frames in heard.items() if frames} == {}
    assert counted(world, forgery.fate) == before + times
    assert len(world.decisions()) == decisions


def counted(world: World, fate: str) -> int:
    if fate == "rejected":
        return sum(world.rejected().values())
    count_now()
    return world.drops(fate)
