"""Pages of a list: cursors, limits, has_more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeError

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.world.collection import Collection
    from stripe_simulator.world.conditions import Condition

DEFAULT_LIMIT = 10
MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Positions in the order they are shown, and whether there are more beyond."""

    positions: list[int]
    has_more: bool


def limit_of(params: Params) -> int:
    """Return the page size of a list, brought into 1 to 100. Raises StripeError unless it is a number."""
    return min(max(_requested_limit(params), 1), MAX_LIMIT)


def search_limit_of(params: Params) -> int:
    """Return the page size of a search, which Stripe does not bring into range as that of a list.

    Raises StripeError unless it is a number from 1 to 100.
    """
    limit = _requested_limit(params)
    if limit < 1:
        raise _out_of_range("limit", limit, "greater than or equal to 1")
    if limit > MAX_LIMIT:
        raise _out_of_range("limit", limit, f"less than or equal to {MAX_LIMIT}")
    return limit


def _requested_limit(params: Params) -> int:
    value = params.get("limit")
    if value is None:
        return DEFAULT_LIMIT
    if value == "":
        raise errors.empty_parameter("limit")
    if not isinstance(value, str) or not value.lstrip("-").isdecimal():
        raise errors.not_an_integer("limit", str(value))
    return int(value)


def _out_of_range(name: str, value: int, allowed: str) -> StripeError:
    return StripeError(
        f"This value must be {allowed} (currently `{value}`).", code="parameter_invalid_integer", param=name
    )


def page_of(
    collection: Collection,
    conditions: list[Condition],
    params: Params,
    *,
    low: int,
    high: int,
    paged: bool = True,
    newest_first: bool = True,
) -> Page:
    """Return the page that the parameters request among the positions in [low, high).

    Raises StripeError for a bad limit or cursor. Lists that are not paged return all positions. The cursor
    may be an object that was deleted.
    """
    limit = limit_of(params) if paged else high - low
    after, before = params.get("starting_after"), params.get("ending_before")
    if after is not None and before is not None:
        raise StripeError(
            "Received both starting_after and ending_before parameters. Please pass in only one."
        )
    name, cursor = ("starting_after", after) if before is None else ("ending_before", before)
    descends = newest_first == (before is None)  # from the cursor on
    if cursor is not None:
        position = _cursor(collection, name, cursor)
        low, high = (low, min(high, position)) if descends else (max(low, position + 1), high)
    positions = list(
        islice(collection.find(conditions, low, max(low, high), newest_first=descends), limit + 1)
    )
    shown = positions[:limit]
    if before is not None:
        shown.reverse()
    return Page(shown, has_more=len(positions) > limit)


def _cursor(collection: Collection, name: str, value: Any) -> int:
    """Return the position of the object that a cursor names. Raises StripeError if it never existed."""
    if value == "":
        raise errors.empty_parameter(name)
    position = collection.position(value) if isinstance(value, str) else None
    if position is None:
        raise errors.no_object(collection.resource.object, str(value), name, status=400)
    return position


def body_of(bodies: Iterable[bytes], *, has_more: bool, url: str) -> bytes:
    """Return a list object as JSON."""
    more = b"true" if has_more else b"false"
    joined = b",".join(bodies)
    return b'{"object":"list","data":[%b],"has_more":%b,"url":%b}' % (joined, more, orjson.dumps(url))
