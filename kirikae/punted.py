"""Packets that a switch hands to the controller: what they are, read with suspicion.

Anything may arrive here: every reader either returns a whole answer or raises MalformedPacket with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import dpkt
from netaddr import IPAddress

from kirikae.configuration.model import Configuration, ServicePort, Terminator
from kirikae.identity import PairId, Side

ETHERNET_HEADER = 14
SMALLEST_QUOTE = 8  # octets of the original datagram's data (RFC 792)


class MalformedPacket(Exception):
    """The packet is not what its headers promise."""


class NotARequest(Exception):
    """A well-formed packet that gives no reason to move the pair."""


@dataclass(frozen=True)
class Request:
    """A user's request as an IP packet."""

    source: IPAddress
    destination: IPAddress
    port: ServicePort
    packet: bytes
    whole: bool
    """False: only the beginning is here (RFC 792 lets an error quote as little as 8 octets)."""


def ip_packet(frame: bytes) -> bytes:
    """The IP packet of an untagged Ethernet frame, without padding."""
    try:
        packet = dpkt.ethernet.Ethernet(frame).data
    except (dpkt.UnpackError, ValueError, IndexError, OverflowError) as error:
        raise MalformedPacket(f"not an Ethernet frame: {error}") from None
    if not isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6):
        raise MalformedPacket("not an IP packet")
    length = _stated_length(packet)
    return frame[ETHERNET_HEADER : ETHERNET_HEADER + length]


def _stated_length(packet: dpkt.ip.IP | dpkt.ip6.IP6) -> int:
    return packet.len if isinstance(packet, dpkt.ip.IP) else 40 + packet.plen


def read_request(packet: bytes) -> Request:
    """Read an IP packet, or the beginning of one, as a request over UDP or TCP."""
    if len(packet) < 20:
        raise MalformedPacket(f"{len(packet)} octets are no IP header")
    version = packet[0] >> 4
    if version == 4:
        return _read_ipv4(packet)
    if version == 6:
        return _read_ipv6(packet)
    raise MalformedPacket(f"IP version {version}")


def _read_ipv4(packet: bytes) -> Request:
    header = (packet[0] & 0xF) * 4
    length = int.from_bytes(packet[2:4], "big")
    if header < 20 or length < header + SMALLEST_QUOTE or len(packet) < header + SMALLEST_QUOTE:
        raise MalformedPacket(f"IPv4 header of {header}, packet of {length}, {len(packet)} octets here")
    if int.from_bytes(packet[6:8], "big") & 0x1FFF:
        raise NotARequest("a fragment, without ports")
    source, destination = (IPAddress(int.from_bytes(packet[at : at + 4], "big"), 4) for at in (12, 16))
    return _request(source, destination, packet[9], packet, header, length)


def _read_ipv6(packet: bytes) -> Request:
    if len(packet) < 40 + SMALLEST_QUOTE:
        raise MalformedPacket(f"{len(packet)} octets are no IPv6 packet with ports")
    length = 40 + int.from_bytes(packet[4:6], "big")
    if length < 40 + SMALLEST_QUOTE:
        raise MalformedPacket(f"IPv6 payload of {length - 40} octets")
    source, destination = (IPAddress(int.from_bytes(packet[at : at + 16], "big"), 6) for at in (8, 24))
    return _request(source, destination, packet[6], packet, 40, length)


def _request(
    source: IPAddress, destination: IPAddress, protocol: int, packet: bytes, header: int, length: int
) -> Request:
    transport = {17: "udp", 6: "tcp"}.get(protocol)
    if transport is None:
        raise NotARequest(f"IP protocol {protocol} is neither UDP nor TCP")
    port = int.from_bytes(packet[header + 2 : header + 4], "big")
    return Request(source, destination, ServicePort(port, transport), packet[:length], len(packet) >= length)


def read_unreachable(frame: bytes) -> tuple[IPAddress, Request]:
    """Who sent an ICMP or ICMPv6 destination unreachable, and the request that it quotes."""
    packet = ip_packet(frame)
    if packet[0] >> 4 == 4:
        header, protocol, source = (packet[0] & 0xF) * 4, packet[9], IPAddress(int.from_bytes(packet[12:16], "big"), 4)
        wanted = (1, 3)
    else:
        header, protocol, source = 40, packet[6], IPAddress(int.from_bytes(packet[8:24], "big"), 6)
        wanted = (58, 1)
    if len(packet) < header + 8 or (protocol, packet[header]) != wanted:
        raise MalformedPacket("not a destination unreachable")
    return source, read_request(packet[header + 8 :])


def check_unreachable(configuration: Configuration, terminator: Terminator, frame: bytes) -> Request:
    """The request that an ICMP unreachable from a terminator's own port gives back.

    Raises NotARequest when the quoted header is not a request of a user whom this terminator manages, to a service
    port of the terminator or of its server; MalformedPacket when it cannot be read.
    """
    source, request = read_unreachable(frame)
    if source != terminator.address:
        raise NotARequest(f"{source} is not {terminator.address}")
    check_request(configuration, terminator.pair, request)
    return request


def check_request(configuration: Configuration, pair: PairId, request: Request) -> None:
    """Raise NotARequest unless this is a request of one of the pair's users to its active side."""
    server = configuration.server_pairs[pair.server]
    own = {server.terminator(Side.ACTIVE, pair.k), server.base(Side.ACTIVE)}
    if request.destination not in own:
        raise NotARequest(f"its destination {request.destination} is neither the terminator nor its server")
    if request.port not in configuration.service.ports:
        raise NotARequest(f"{request.port.number}/{request.port.transport} is no service port")
    if not any(users.pair == pair and request.source in users.prefix for users in configuration.users):
        raise NotARequest(f"{request.source} is no user of {pair}")
