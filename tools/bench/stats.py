"""What many samples of one figure come to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """In the unit of the samples."""

    runs: int
    median: float
    p99: float
    minimum: float
    maximum: float


def summarize(samples: Sequence[float]) -> Summary:
    """Raises ValueError when there are none."""
    if not samples:
        raise ValueError("there are no samples")
    return Summary(len(samples), statistics.median(samples), percentile(samples, 99), min(samples), max(samples))


def percentile(samples: Sequence[float], percent: float) -> float:
    """By nearest rank: the smallest sample that at least so many percent of the samples do not exceed.

    It is always a sample that was taken. With fewer than 100 samples the 99th percentile is the largest one.
    """
    if not samples or not 0 < percent <= 100:
        raise ValueError(f"no {percent:g}th percentile of {len(samples)} samples")
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile, for a box plot."""
    if len(samples) == 1:
        return samples[0], samples[0], samples[0]
    first, middle, third = statistics.quantiles(samples, n=4, method="inclusive")
    return first, middle, third
