"""The ranges of numbers on the command line."""

from __future__ import annotations

from typing import Final

MAX_OBJECTS: Final = 10_000_000  # of a resource in the simulated Stripe
MAX_MILLISECONDS: Final = 600_000.0
MIN_RATE: Final = 0.001  # requests/s
MAX_TIME: Final = 253_402_300_799  # the end of the year 9999, in Unix seconds
