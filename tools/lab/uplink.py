"""The transfer side of a terminator: one connected UDP socket per terminator towards its server.

Connected, so that an ICMP error about a request comes back as an error of the socket (udp(7), ECONNREFUSED).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from tools.lab import protocol
from tools.lab.sockets import udp_socket

_BATCH = 256


class Uplink:
    """Sockets from base + k to the server's port; every error means that the server cannot be reached."""

    def __init__(self, server: str, offsets: Mapping[str, int], port: int) -> None:
        self.sockets = {k: self._connected(address, server, port) for address, k in offsets.items()}
        self._first = next(iter(self.sockets.values()))

    def send(self, k: int, message: bytes) -> None:
        """Raises OSError when an earlier message was refused (this one is then not sent), or there is no way."""
        self.sockets[k].send(message)

    def send_probe(self, number: int) -> None:
        """Raises OSError as send() does."""
        self._first.send(protocol.probe(number))

    def receive(self, k: int) -> Iterator[bytes]:
        """What the server answered. Raises OSError when it refused."""
        sock = self.sockets[k]
        for _ in range(_BATCH):
            try:
                yield sock.recv(2048)
            except BlockingIOError:
                return

    def receive_ignoring_errors(self, k: int) -> Iterator[bytes]:
        """What the server answered before it was lost."""
        for _ in range(_BATCH):
            try:
                yield self.sockets[k].recv(2048)
            except BlockingIOError:
                return
            except OSError:
                continue

    @staticmethod
    def _connected(address: str, server: str, port: int) -> socket.socket:
        sock = udp_socket(address)
        sock.bind((address, 0))
        sock.connect((server, port))
        return sock
