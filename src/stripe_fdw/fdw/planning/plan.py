"""The plan of a read as a value: which requests answer a query. EXPLAIN shows it, tests compare it."""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.api.request import Request
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.planning.restrictions import Value


@dataclass(frozen=True, slots=True)
class Fetch:
    """The request for one object or list, and the values of those columns that only the request knows."""

    request: Request
    constant_columns: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return str(self.request)


@dataclass(frozen=True, slots=True)
class EmptyResult:
    """No row can match, so no request is made."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Objects by their ids, several at a time."""

    fetches: tuple[Fetch, ...]


@dataclass(frozen=True, slots=True)
class Lists:
    """One list, or several at a time."""

    fetches: tuple[Fetch, ...]
    parallel: bool = False  # a full scan, which may be cut by created and come in any order
    merge_sorted: bool = False  # merge the lists by created, newest first
    deduplicate: bool = False  # more than one of the lists may have an object


@dataclass(frozen=True, slots=True)
class ListThenRetrieve:
    """A list, of which the objects with certain ids are wanted; then, by id, those that it did not show."""

    listed: Lists
    retrieved: Retrieve


@dataclass(frozen=True, slots=True)
class FanOut:
    """A list inside each of the objects of another plan."""

    parents: ReadPlan
    parameter: str  # the path or query parameter that takes the parent's id
    column: str
    fetches: tuple[Fetch, ...]  # with {parameter} in place of the id
    deduplicate: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A query of the search API, whose results may be a minute old."""

    fetch: Fetch


@dataclass(frozen=True, slots=True)
class Previews:
    """Objects that Stripe computes when they are requested."""

    fetches: tuple[Fetch, ...]


Access = EmptyResult | Retrieve | Lists | ListThenRetrieve | FanOut | Search | Previews


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The requests that answer a query on a resource."""

    resource: str
    access: Access
    pushed: tuple[Qual, ...] = ()
    checked: tuple[Qual, ...] = ()  # that no request expresses; Postgres checks all quals in any case
    order: tuple[SortKey, ...] = ()
    limit: int | None = None  # how many rows are likely to be read; a hint
    expanded: tuple[str, ...] = ()  # what the requests expand
    not_expanded: tuple[str, ...] = ()  # what the query names, and only a request for one object could expand
