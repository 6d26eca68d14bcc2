"""Captures with a filter: only what a figure needs, so that looking costs little."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dpkt

from tools.processes import LabError, Process, Processes

_READ_TIMEOUT_S = 1.1
"""tcpdump may leave packets in the kernel for a second before it reads them (pcap_set_timeout(3): 1000 ms there)."""
_BUFFER_KIB = 65536


class Sniffer:
    """One tcpdump; a context manager. Time stamps are in nanoseconds."""

    def __init__(
        self,
        processes: Processes,
        file: Path,
        interface: str,
        expression: str,
        *,
        inside: Sequence[str] = (),
        octets: int = 0,
    ) -> None:
        """`inside`: what puts a command into the interface's namespace. `octets`: of each packet, 0 for all."""
        self.file = file
        self._processes = processes
        self._process: Process | None = None
        # -Z root: Debian's tcpdump would become a user that cannot write here. -p: no flag of the interface changes.
        options = ["-n", "-p", "-s", str(octets), "-B", str(_BUFFER_KIB), "-Z", "root"]
        options += ["--time-stamp-precision=nano", "-w", str(file)]
        self._command = [*inside, "tcpdump", "-i", interface, *options, expression]

    def __enter__(self) -> Sniffer:
        self._process = self._processes.start(f"sniffer-{self.file.stem}", self._command)
        self._process.wait_for_output("listening on")
        return self

    def __exit__(self, *_exception: object) -> None:
        """Returns when everything is in the file. Raises LabError when packets were missed."""
        if self._process is None:
            return
        time.sleep(_READ_TIMEOUT_S)
        self._process.signal(signal.SIGINT)
        self._process.finish(5.0)
        if "\n0 packets dropped by kernel" not in self._process.output():
            raise LabError(f"a capture is not whole: {self.file}{self._process.last_words()}")


def packets(file: Path) -> Iterator[tuple[float, bytes]]:
    """Time (epoch seconds) and frame of every packet in a capture."""
    with file.open("rb") as opened:
        for at, frame in dpkt.pcap.Reader(opened):
            yield float(at), frame
