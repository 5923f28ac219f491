"""The plan of a read as a value: which requests answer a query. EXPLAIN shows it, tests compare it."""

from __future__ import annotations

from msgspec import Struct

from stripe_fdw.api.request import Request
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.planning.restrictions import Value


class Fetch(Struct, frozen=True):
    """The request for one object or list, and the values of those columns that only the request knows."""

    request: Request
    constant_columns: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return str(self.request)


class EmptyResult(Struct, frozen=True):
    """No row can match, so no request is made."""

    reason: str


class Retrieve(Struct, frozen=True):
    """Objects by their ids, several at a time."""

    fetches: tuple[Fetch, ...]


class Lists(Struct, frozen=True):
    """One list, or several at a time."""

    fetches: tuple[Fetch, ...]
    parallel: bool = False  # a full scan, which may be cut by created and come in any order
    merge_sorted: bool = False  # merge the lists by created, newest first
    deduplicate: bool = False  # more than one of the lists may have an object


class ListThenRetrieve(Struct, frozen=True):
    """A list, of which the objects with certain ids are wanted; then, by id, those that it did not show."""

    listed: Lists
    retrieved: Retrieve


class FanOut(Struct, frozen=True):
    """A list inside each of the objects of another plan."""

    parents: ReadPlan
    parameter: str  # the path or query parameter that takes the parent's id
    column: str
    fetches: tuple[Fetch, ...]  # with {parameter} in place of the id
    deduplicate: bool = False


class Search(Struct, frozen=True):
    """Queries of the search API, whose index lags behind: objects may be as they were, or be missing."""

    fetches: tuple[Fetch, ...]  # several may find an object


class Previews(Struct, frozen=True):
    """Objects that Stripe computes when they are requested."""

    fetches: tuple[Fetch, ...]


class Held(Struct, frozen=True):
    """Objects inside others: those that each answer, or each object of its list, holds."""

    fetches: tuple[Fetch, ...]


Access = EmptyResult | Retrieve | Lists | ListThenRetrieve | FanOut | Search | Previews | Held


class ReadPlan(Struct, frozen=True):
    """The requests that answer a query on a resource."""

    resource: str
    access: Access
    pushed: tuple[Qual, ...] = ()
    checked: tuple[Qual, ...] = ()  # that no request expresses; Postgres checks all quals in any case
    order: tuple[SortKey, ...] = ()
    limit: int | None = None  # how many rows are likely to be read; a hint
    expanded: tuple[str, ...] = ()  # what the requests expand
    not_expanded: tuple[str, ...] = ()  # what the query names, and only a request for one object could expand


def first_endpoint(plan: ReadPlan) -> str:
    """Return the endpoint of the plan's first request; "" where it has none."""
    match plan.access:
        case EmptyResult():
            return ""
        case ListThenRetrieve(listed):
            return listed.fetches[0].request.endpoint
        case access:
            return access.fetches[0].request.endpoint
