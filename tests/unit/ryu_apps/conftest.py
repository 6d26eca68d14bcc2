"""An exception that would end the controller fails the test instead of ending pytest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


class ControllerEnded(BaseException):
    """The controller gave up (docs/decisions/0005)."""


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Exit statuses with which the controller ended. A test that expects one takes it out."""
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        raise ControllerEnded(status)

    monkeypatch.setattr(os, "_exit", end)
    yield statuses
    assert statuses == []
