"""The access interface of a terminator: requests come in as original IP packets, answers and bounces go out.

`AccessSide` keeps each request's IP packet, so that it can be returned unchanged (the bounce). `PlainAccessSide` is a
terminator without our software: while its server is unreachable its port is closed, and the kernel sends ICMP port
unreachable.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping

from kirikae.wire import BOUNCE_MAC
from tools.lab import packets
from tools.lab.packets import DROP_ALL, UdpRequest, attach_filter
from tools.lab.sockets import deep_buffers, udp_socket

_ETHERTYPE = {4: 0x0800, 6: 0x86DD}
_BATCH = 256
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 263, 1, 1  # linux/if_packet.h
_BOUNCE_ADDRESS = bytes.fromhex(BOUNCE_MAC.replace(":", ""))


class UserRequest:
    """A request, and the way back to the user who sent it."""

    __slots__ = ("_reply", "_return", "k")

    def __init__(self, k: int, reply: Callable[[bytes], None], give_back: Callable[[], None]) -> None:
        self.k = k
        """Offset of the terminator that the user's request came to."""
        self._reply = reply
        self._return = give_back

    def answer(self, message: bytes) -> None:
        """Send the answer to the user, from the address that was asked."""
        self._reply(message)

    def give_back(self) -> None:
        """The server did not take it: bounce a packet, reset a connection, nothing on a plain terminator."""
        self._return()


class AccessSide:
    """Packet sockets on the access interface, and one bound UDP socket per terminator to answer from."""

    def __init__(self, interface: str, offsets: Mapping[str, int], port: int) -> None:
        """Offsets by terminator address, all of one IP version."""
        self._version = 6 if ":" in next(iter(offsets)) else 4
        self._port = port
        self._offsets = offsets
        self._bounce_to = (interface, _ETHERTYPE[self._version], 0, 0, _BOUNCE_ADDRESS)
        self.bounced = 0
        self.send_errors = 0
        self._answer_from = {address: self._bound(address) for address in offsets}
        self.requests_socket = self._packets(interface, packets.udp_to_port(self._version, port))
        self.syns_socket = self._packets(interface, DROP_ALL)

    def receive(self) -> Iterator[tuple[UserRequest, bytes]]:
        """What has come in: requests and their text."""
        for packet in _drain(self.requests_socket):
            request = packets.parse_udp(packet)
            k = None if request is None else self._offsets.get(request.destination)
            if request is not None and k is not None:
                yield self._user_request(request, k), request.payload

    def silence_kernel(self) -> None:
        """Take over new TCP connections: from now on every SYN is ours (call when the kernel ignores them)."""
        attach_filter(self.syns_socket, packets.syn_to_port(self._version, self._port))

    def leave_to_kernel(self) -> None:
        """Leave new TCP connections to the kernel (call before it stops ignoring them)."""
        attach_filter(self.syns_socket, DROP_ALL)

    def bounce_syns(self) -> None:
        """Return every SYN that came while the kernel ignored them."""
        for packet in _drain(self.syns_socket):
            self.bounce(packets.whole_packet(packet))

    def bounce(self, packet: bytes) -> None:
        """Send an original IP packet, unchanged, to the bounce MAC (kirikae.wire)."""
        try:
            self.requests_socket.sendto(packet, self._bounce_to)
            self.bounced += 1
        except OSError:
            self.send_errors += 1

    def _user_request(self, request: UdpRequest, k: int) -> UserRequest:
        return UserRequest(k, lambda message: self._answer(request, message), lambda: self.bounce(request.packet))

    def _answer(self, request: UdpRequest, message: bytes) -> None:
        try:
            self._answer_from[request.destination].sendto(message, (request.source, request.source_port))
        except OSError:
            self.send_errors += 1

    def _bound(self, address: str) -> socket.socket:
        """A UDP socket that the kernel finds, so that it sends no ICMP, and that queues nothing."""
        sock = udp_socket(address)
        attach_filter(sock, DROP_ALL)
        sock.bind((address, self._port))
        return sock

    def _packets(self, interface: str, program: packets.Filter) -> socket.socket:
        """A packet socket without link-layer header. The filter comes before the interface: nothing else gets in."""
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        attach_filter(sock, program)
        deep_buffers(sock)
        sock.bind((interface, _ETHERTYPE[self._version]))
        return sock


class PlainAccessSide:
    """Ordinary UDP sockets, open only while the server is reachable."""

    def __init__(self, offsets: Mapping[str, int], port: int) -> None:
        self._offsets = offsets
        self._port = port
        self._sockets: dict[int, socket.socket] = {}
        self.send_errors = 0
        self.bounced = 0

    def open(self) -> list[socket.socket]:
        self._sockets = {k: self._bound(address) for address, k in self._offsets.items()}
        return list(self._sockets.values())

    def close(self) -> list[socket.socket]:
        """Close the ports; from now on the kernel refuses with ICMP. Returns what is to be closed."""
        closing, self._sockets = list(self._sockets.values()), {}
        return closing

    def receive(self) -> Iterator[tuple[UserRequest, bytes]]:
        for k, sock in self._sockets.items():
            for _ in range(_BATCH):
                try:
                    payload, user = sock.recvfrom(2048)
                except OSError:
                    break
                yield self._user_request(sock, k, user), payload

    def _user_request(self, sock: socket.socket, k: int, user: tuple[str, int]) -> UserRequest:
        def answer(message: bytes) -> None:
            try:
                sock.sendto(message, user)
            except OSError:
                self.send_errors += 1

        return UserRequest(k, answer, lambda: None)

    def _bound(self, address: str) -> socket.socket:
        sock = udp_socket(address)
        sock.bind((address, self._port))
        return sock


def receive_all(interface_socket: socket.socket) -> None:
    """Let a packet socket see frames for any MAC: several terminators with their own MACs share the interface."""
    index = socket.if_nametoindex(interface_socket.getsockname()[0])
    membership = index.to_bytes(4, "little") + _PACKET_MR_PROMISC.to_bytes(2, "little") + bytes(10)
    interface_socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)


def _drain(sock: socket.socket) -> Iterator[bytes]:
    for _ in range(_BATCH):
        try:
            yield sock.recv(65535)
        except OSError:  # nothing left, or the interface went down (packet(7), ENETDOWN)
            return
