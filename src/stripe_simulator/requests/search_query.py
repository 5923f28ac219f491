"""The search API's query language (https://docs.stripe.com/search), and what it finds.

What was written lately is not found yet: the index lags behind.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.requests import pagination
from stripe_simulator.requests.expand import expand_objects, expand_paths
from stripe_simulator.requests.request import ApiRequest, ApiResponse
from stripe_simulator.types import Json
from stripe_simulator.world.conditions import Condition, values_at

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.world.collection import Collection
    from stripe_simulator.world.generator import Generator

_CLAUSE = re.compile(
    r"""\s*(?P<not>-)?(?P<field>[a-z_][a-z0-9_.]*)(?:\[(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\])?
    \s*(?P<operator>:|~|>=|<=|>|<)\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"']+)""",
    re.VERBOSE,
)
_JOIN = re.compile(r"\s+(AND|OR|and|or)?\s*")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}
_LEAST_SUBSTRING = 3


@dataclass(frozen=True, slots=True)
class Clause:
    """A field compared with a value; None stands for null."""

    path: tuple[str, ...]
    operator: str
    value: str | None
    negated: bool = False

    def holds(self, made: Json) -> bool:
        """Whether the object fits."""
        return any(map(self._fits, values_at(made, self.path))) is not self.negated

    def tester(self, generator: Generator) -> Callable[[int], bool]:
        """The same for a generated object, from its index; without making the object where possible."""
        name, *rest = self.path
        field = generator.fields.get(name)
        if field is None or field.multivalued or generator.resource.column[name].path != (name,):
            return lambda index: self.holds(generator.object(index))
        value, fits, negated = field.value, self._fits, self.negated
        if not rest:
            return lambda index: fits(value(index)) is not negated
        return lambda index: any(map(fits, values_at(value(index), tuple(rest)))) is not negated

    def _fits(self, value: Any) -> bool:
        if self.value is None:
            return value is None
        if value is None:
            return False
        if self.operator in _ORDER:
            number = float(self.value)
            return isinstance(value, int | float) and _ORDER[self.operator](value, number)
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        wanted = self.value.casefold()
        return wanted in text.casefold() if self.operator == "~" else wanted == text.casefold()


@dataclass(frozen=True, slots=True)
class Query:
    """Clauses of which all must hold, or any."""

    clauses: tuple[Clause, ...]
    every: bool

    def holds(self, made: Json) -> bool:
        """Whether the object fits."""
        return (all if self.every else any)(clause.holds(made) for clause in self.clauses)

    def tester(self, generator: Generator) -> Callable[[int], bool]:
        """The same for a generated object, from its index."""
        testers = [clause.tester(generator) for clause in self.clauses]
        if len(testers) == 1:
            return testers[0]
        combined = all if self.every else any
        return lambda index: combined(tester(index) for tester in testers)


def parse(text: str, resource: Resource) -> Query:
    """Read a query. Raises StripeError where it is none, or names a field that cannot be searched."""
    clauses: list[Clause] = []
    joins: set[str] = set()
    at = 0
    text = text.strip()
    while at < len(text):
        found = _CLAUSE.match(text, at)
        if found is None:
            raise _unparsable("We were unable to parse your search query.")
        clauses.append(_clause(found, resource))
        at = found.end()
        if at >= len(text):
            break
        join = _JOIN.match(text, at)
        if join is None:
            raise _unparsable("We were unable to parse your search query.")
        joins.add((join.group(1) or "AND").upper())
        at = join.end()
        if at >= len(text):
            raise _unparsable("We were unable to parse your search query.")
    if not clauses:
        raise _unparsable("Your search query is empty.")
    if len(joins) > 1:
        raise _unparsable("You cannot mix AND and OR clauses in one search query.")
    return Query(tuple(clauses), every="OR" not in joins)


def _unparsable(message: str) -> StripeError:
    return StripeError(
        f'{message} Try using the format `metadata["key"]:"value"` to query for metadata or key:"value" to '
        "query for other fields.",
        param="query",
    )


def _clause(found: re.Match[str], resource: Resource) -> Clause:
    name, operator, value = found["field"], found["operator"], found["value"]
    quoted = value[0] in "\"'"
    if found["key"]:
        path: tuple[str, ...] = (name, _unquoted(found["key"]))
    else:
        path = tuple(name.split("."))
    if resource.search_fields and name not in resource.search_fields:
        raise StripeError(f"Field `{name}` is an unsupported search field for resource `{resource.object}s`.")
    if operator == "~" and (not quoted or len(value) - 2 < _LEAST_SUBSTRING):
        raise _unparsable("Substring matches need at least 3 characters in quotes.")
    text: str | None = _unquoted(value) if quoted else value
    if value == "null":
        text = None
    if operator in _ORDER:
        try:
            float(text or "")
        except ValueError:
            raise _unparsable(f"The value for `{name}` must be numeric.") from None
    return Clause(path, operator, text, bool(found["not"]))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def search(request: ApiRequest) -> ApiResponse:
    """GET of a search: newest first, page by page."""
    resource = request.route.resource
    assert resource is not None
    unknown = [name for name in request.params if name not in {"query", "limit", "page", "expand"}]
    if unknown:
        raise errors.unknown_parameters(unknown)
    if "query" not in request.params:
        raise errors.missing_parameter("query")
    query = parse(str(request.params["query"]), resource)
    collection = request.account.collection(resource.name)
    limit = pagination.limit_of(request.params)
    low, high = collection.bounds()
    if "page" in request.params:
        high = _position_of(str(request.params["page"]))
    found = list(islice(_found(collection, query, low, high), limit + 1))
    shown = [made for _, made in found[:limit]]
    paths = expand_paths(request.params)
    total = ["total_count"] in paths
    paths = [path for path in paths if path != ["total_count"]]
    if paths:
        shown = [orjson.loads(orjson.dumps(made)) for made in shown]
        expand_objects(request.account, {"data": shown}, paths)
    more = len(found) > limit
    body: Json = {
        "object": "search_result",
        "data": shown,
        "has_more": more,
        "next_page": _page_of(found[limit - 1][0]) if more else None,
        "url": request.path,
    }
    if total:
        body["total_count"] = sum(1 for _ in _found(collection, query, *collection.bounds()))
    return ApiResponse(orjson.dumps(body))


def _found(collection: Collection, query: Query, low: int, high: int) -> Iterator[tuple[int, Json]]:
    """Positions and objects that the index knows and that fit, newest first."""
    conditions = _conditions(collection, query) if query.every else []
    fits = query.tester(collection.generator)
    for position in collection.find(conditions, low, high, newest_first=True, all_written=True):
        if position not in collection.overlay:
            if fits(position):
                yield position, collection.read(position)
            continue
        made = collection.indexed_version(position)
        if made is not None and query.holds(made):
            yield position, made


def _conditions(collection: Collection, query: Query) -> list[Condition]:
    """Conditions that find an equal value fast, where letters have but one case in it."""
    found = []
    for clause in query.clauses:
        column = collection.resource.column.get(clause.path[0])
        if column is None or len(clause.path) > 1 or clause.operator != ":" or clause.negated:
            continue
        if (clause.value is not None and column.name == "email" and clause.value == clause.value.lower()) or (
            clause.value is not None and column.name in {"customer", "subscription"}
        ):
            found.append(Condition(column, (clause.value,)))
    return found


def _page_of(position: int) -> str:
    return urlsafe_b64encode(b"p%d" % position).decode()


def _position_of(page: str) -> int:
    try:
        text = urlsafe_b64decode(page).decode()
        if text[0] == "p":
            return int(text[1:])
    except (ValueError, IndexError):
        pass
    raise StripeError(f"Invalid page: {page}", param="page")
