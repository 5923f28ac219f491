"""A plan as a value: which requests answer a query. It prints, compares in tests and is shown by EXPLAIN."""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.api.request import Request
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.planning.restrictions import Value


@dataclass(frozen=True, slots=True)
class Fetch:
    """One object or list to get, and the values of columns that its objects do not know themselves."""

    request: Request
    fills: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return str(self.request)


@dataclass(frozen=True, slots=True)
class EmptyResult:
    """No row can match: no request."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Objects by their ids, side by side."""

    fetches: tuple[Fetch, ...]


@dataclass(frozen=True, slots=True)
class Lists:
    """One list, or several side by side."""

    fetches: tuple[Fetch, ...]
    sliced: bool = False  # a full scan: may be cut by created and fetched in parallel, in any order
    merged: bool = False  # by created, newest first, over all lists
    unique: bool = False  # an object may be in more than one of the lists


@dataclass(frozen=True, slots=True)
class FanOut:
    """A list inside each of the objects of another plan."""

    parents: ReadPlan
    parameter: str  # the path or query parameter that takes the parent's id
    column: str
    fetches: tuple[Fetch, ...]  # with {parameter} where the id goes
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A query of the search API, which may lag behind by a minute."""

    fetch: Fetch


@dataclass(frozen=True, slots=True)
class Previews:
    """Objects that Stripe computes when asked."""

    fetches: tuple[Fetch, ...]


Access = EmptyResult | Retrieve | Lists | FanOut | Search | Previews


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Which requests answer a query on a resource."""

    resource: str
    access: Access
    pushed: tuple[Qual, ...] = ()
    checked: tuple[Qual, ...] = ()  # those given that no request says; Postgres checks them all anyway
    order: tuple[SortKey, ...] = ()
    limit: int | None = None  # a hint: no more rows are likely to be read
