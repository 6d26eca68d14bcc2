"""What the bench prints while it runs: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_LINE_EVERY_S = 10.0


_WIDTH = 160
"""Of lines in a file or pipe, where nobody says."""


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


class Screen:
    """A context manager: the bar lives as long as it."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said_at = 0.0

    def __enter__(self) -> Screen:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def step(self, what: str, done: int, total: int, now: str) -> None:
        """So many of so many are done, and what comes now."""
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = self._bar.add_task(what, total=total, now=now)
        self._bar.update(task, completed=done, total=total, now=now)
        finished = done >= total
        if not self.console.is_terminal and (finished or time.monotonic() - self._said_at >= _LINE_EVERY_S):
            self._said_at = time.monotonic()
            self.say(f"  {what}: {done} of {total}")
