"""What a capture holds, read with dpkt: Ethernet frames with their payload, whole."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import dpkt


class Frame(NamedTuple):
    time: float
    """Epoch seconds."""
    source: str
    destination: str
    """MACs, lower case, with colons."""
    ethertype: int
    packet: bytes
    """What the frame carries: the IP packet."""


def frames(pcap: Path) -> list[Frame]:
    with pcap.open("rb") as file:
        return [_frame(float(time), data) for time, data in dpkt.pcap.Reader(file)]


def _frame(time: float, data: bytes) -> Frame:
    destination, source = data[:6].hex(":"), data[6:12].hex(":")
    return Frame(time, source, destination, int.from_bytes(data[12:14], "big"), data[14:])
