"""Summary statistics of repeated measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rapidseg.core.errors import InputError


@dataclass(frozen=True)
class Summary:
    """Median of repeated measurements, and the range of the middle 90 %.

    Attributes:
        median: 50th percentile; percentiles are interpolated linearly between measurements.
        p5: 5th percentile.
        p95: 95th percentile.
        count: number of measurements.
    """

    median: float
    p5: float
    p95: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Summary:
        """Summarizes measurements.

        Raises:
            InputError: there are no measurements.
        """
        if not len(samples):
            raise InputError("no measurements to summarize; measure at least once")
        p5, median, p95 = (float(value) for value in np.percentile(samples, (5, 50, 95)))
        return cls(median, p5, p95, len(samples))

    def rate(self, work: float) -> Summary:
        """Converts milliseconds per `work` to work per second; the slow end becomes the low end."""
        return Summary(1e3 * work / self.median, 1e3 * work / self.p95, 1e3 * work / self.p5, self.count)

    def to_dict(self, digits: int = 4) -> dict[str, float]:
        """Returns the statistics, rounded, for JSON."""
        figures = {"median": self.median, "p5": self.p5, "p95": self.p95}
        return {**{name: round(value, digits) for name, value in figures.items()}, "count": self.count}


def between_round_drift(medians: Sequence[float]) -> float | None:
    """Returns the range of the rounds' medians as a share of their median: the noise from round to round.

    None for a single round, which says nothing about noise.
    """
    if len(medians) < 2:
        return None
    return (max(medians) - min(medians)) / float(np.median(medians))
