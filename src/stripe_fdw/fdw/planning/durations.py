"""Estimates of how long scans take: by how many requests, how soon Stripe answers them, and the rate limit.

Requests that do not depend on each other are sent PARALLEL at a time; pages of a list follow one another,
unless the list is cut into slices. So eight objects by their ids take no longer than one, and a page of a
list read to its end takes less time than the first.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from stripe_fdw.api.request import PARALLEL
from stripe_fdw.fdw.planning.estimates import ScanEstimate
from stripe_fdw.fdw.planning.plan import (
    EmptyResult,
    FanOut,
    Held,
    Lists,
    ListThenRetrieve,
    Previews,
    ReadPlan,
    Retrieve,
    Search,
)

LEAST_SECONDS: Final = 0.1
"""What an answer takes where nothing else has been learned, and at least: plans do not depend on less."""

_PAGES_BEFORE_SLICES: Final = (
    8  # of a list that is cut into slices: these take as long as one after the other
)


class AnswerTimes(Struct, frozen=True):
    """How long a resource's requests take."""

    page: float = LEAST_SECONDS  # seconds to the answer with a page of a list
    single: float = LEAST_SECONDS  # seconds to the answer with one object
    interval: float = 0.0  # seconds between two requests at the rate limit

    def side_by_side(self, requests: float, seconds: float) -> float:
        """Return how long requests take that do not depend on each other."""
        return max(seconds * max(1.0, requests / PARALLEL), requests * self.interval)


class ScanSeconds(Struct, frozen=True):
    """How long a scan takes, in seconds."""

    alone: float
    ahead: float  # as one of many in a nested loop that sends requests ahead


class TableSize(Struct, frozen=True):
    """What a host asks of a scan before it plans: its estimated size and duration."""

    rows: float  # that match all conditions
    fetched: float  # objects that Stripe sends, of which Postgres keeps those that match
    seconds: ScanSeconds


def estimate_seconds(plan: ReadPlan | None, estimate: ScanEstimate, times: AnswerTimes) -> ScanSeconds:
    """Estimate how long a scan takes.

    Args:
        plan: the plan of the scan; None if Stripe cannot answer it.
        estimate: the size of the same scan.
        times: how long the requests of its resource take.
    """
    requests = estimate.requests
    access = None if plan is None else plan.access
    first = times.single if isinstance(access, Retrieve | Previews | Held) else times.page
    begun = 1.0  # requests that a nested loop sends ahead for one outer row
    match access:
        case EmptyResult():
            return ScanSeconds(0.0, 0.0)
        case Retrieve(fetches) | Previews(fetches) | Held(fetches):
            alone, begun = times.side_by_side(requests, first), min(len(fetches), PARALLEL)
        case (Lists() as lists) | ListThenRetrieve(lists):
            alone, begun = _seconds_of_lists(lists, requests, times), min(len(lists.fetches), PARALLEL)
        case FanOut():
            alone = first + times.side_by_side(requests - 1, times.page) if requests > 1 else first
        case Search(fetches):
            begun = min(len(fetches), PARALLEL)
            pages = requests / begun
            alone = max(first * max(1.0, pages), times.interval * max(1.0, requests))
        case _:
            alone = max(first, times.interval) * max(1.0, requests)
    shared = max(first / PARALLEL, times.interval) * begun
    return ScanSeconds(alone, max(0.0, alone - max(first, times.interval)) + shared)


def _seconds_of_lists(lists: Lists, requests: float, times: AnswerTimes) -> float:
    requests = max(1.0, requests)
    if lists.parallel and len(lists.fetches) == 1:
        in_slices = max(0.0, requests - _PAGES_BEFORE_SLICES)
        pages = min(requests, _PAGES_BEFORE_SLICES) + in_slices / PARALLEL
    else:
        pages = requests / max(1, min(len(lists.fetches), PARALLEL))
    return max(times.page * max(1.0, pages), requests * times.interval)
