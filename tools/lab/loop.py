"""One epoll loop: sockets and what to do when one of them has something."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable


class Loop:
    """Calls each socket's handler when it is readable or has an error. Handlers may watch and forget sockets."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def watch(self, sock: socket.socket, handler: Callable[[], None]) -> None:
        self._handlers[sock.fileno()] = handler
        self._poll.register(sock, select.EPOLLIN)

    def forget(self, sock: socket.socket) -> None:
        """Call before the socket is closed."""
        self._poll.unregister(sock)
        del self._handlers[sock.fileno()]

    def once(self, patience_s: float) -> None:
        """Wait for something to come, at most so long, and handle it. A signal does not end the wait."""
        for descriptor, _events in self._poll.poll(patience_s):
            handler = self._handlers.get(descriptor)
            if handler:
                handler()
