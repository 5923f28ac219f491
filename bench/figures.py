"""A measured figure beside what it is measured against."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was measured, against what, and the bound that the project sets itself."""

    what: str
    ours: str
    against: str
    ratio: str
    bound: str
    holds: bool | None = None  # None where there is no bound, only a figure to state

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        verdict = {True: "yes", False: "no", None: ""}[self.holds]
        return self.what, self.ours, self.against, self.ratio, self.bound, verdict


HEADER = ("what", "stripe-fdw", "against", "ratio", "bound", "holds")


def markdown(figures: Sequence[Figure]) -> str:
    """The table as README shows it."""
    rows = [HEADER, ("---",) * len(HEADER), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def median_ms(action: Callable[[int], object], clock: Callable[[], float], times: int) -> float:
    """The median duration of ``action(n)``, in milliseconds, over a number of runs after a warm-up."""
    for n in range(max(3, times // 10)):
        action(n)
    samples = []
    for n in range(times):
        start = clock()
        action(n)
        samples.append(clock() - start)
    return statistics.median(samples) * 1000
