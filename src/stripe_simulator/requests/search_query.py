"""Searches: the query language (https://docs.stripe.com/search), and pages of results.

As with Stripe, the index lags behind: objects are found a while after they were written.
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
from stripe_simulator.requests.unknown_parameters import reject_unknown_parameters
from stripe_simulator.types import Json
from stripe_simulator.world.conditions import Condition, values_at
from stripe_simulator.world.hidden_fields import without_hidden_fields

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.world.collection import Collection
    from stripe_simulator.world.generator import Generator

_CLAUSE = re.compile(
    r"""\s*(?P<not>-)?(?P<field>[a-z_][a-z0-9_.]*)(?:\[(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\])?
    \s*(?P<operator>:|~|>=|<=|>|<)\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"']+)""",
    re.VERBOSE,
)
_WORD = re.compile(r"\w+")
_JOIN = re.compile(r"\s+(AND|OR|and|or)?\s*")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}
_MIN_SUBSTRING = 3


@dataclass(frozen=True, slots=True)
class Clause:
    """A comparison of a field with a value; a value of None stands for null."""

    path: tuple[str, ...]
    operator: str
    value: str | None
    negated: bool = False
    by_words: bool = False  # a field of type string: ":" finds the words in a longer text

    def matches(self, values: Json) -> bool:
        """Return True if an object satisfies the clause."""
        return any(map(self._accepts, values_at(values, self.path))) is not self.negated

    def index_test(self, generator: Generator) -> Callable[[int], bool]:
        """Return a test of the index of a generated object; it builds the object only where it must."""
        name, *rest = self.path
        field = generator.fields.get(name)
        if field is None or field.multivalued or generator.resource.column[name].path != (name,):
            return lambda index: self.matches(generator.object(index))
        value, accepts, negated = field.value, self._accepts, self.negated
        if not rest:
            return lambda index: accepts(value(index)) is not negated
        return lambda index: any(map(accepts, values_at(value(index), tuple(rest)))) is not negated

    def _accepts(self, value: Any) -> bool:
        if self.value is None:
            return value is None
        if value is None:
            return False
        if self.operator in _COMPARISONS:
            number = float(self.value)
            return isinstance(value, int | float) and _COMPARISONS[self.operator](value, number)
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        wanted = self.value.casefold()
        if self.operator == "~":
            return wanted in text.casefold()
        return _has_words(text, wanted) if self.by_words else wanted == text.casefold()


def _has_words(text: str, wanted: str) -> bool:
    """Return True if the text has all of the wanted words, one after the other."""
    words, sought = _WORD.findall(text.casefold()), _WORD.findall(wanted.casefold())
    starts = range(len(words) - len(sought) + 1)
    return bool(sought) and any(words[start : start + len(sought)] == sought for start in starts)


@dataclass(frozen=True, slots=True)
class Query:
    """Clauses of which all must match, with `every`, or any."""

    clauses: tuple[Clause, ...]
    every: bool

    def matches(self, values: Json) -> bool:
        """Return True if an object satisfies the query."""
        return (all if self.every else any)(clause.matches(values) for clause in self.clauses)

    def index_test(self, generator: Generator) -> Callable[[int], bool]:
        """Return a test of the index of a generated object."""
        tests = [clause.index_test(generator) for clause in self.clauses]
        if len(tests) == 1:
            return tests[0]
        combined = all if self.every else any
        return lambda index: combined(test(index) for test in tests)


def parse_query(text: str, resource: Resource) -> Query:
    """Parse a query. Raises StripeError for bad syntax or a field that cannot be searched."""
    clauses: list[Clause] = []
    joins: set[str] = set()
    at = 0
    text = text.strip()
    while at < len(text):
        match = _CLAUSE.match(text, at)
        if match is None:
            raise _unparsable("We were unable to parse your search query.")
        clauses.append(_clause(match, resource))
        at = match.end()
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


def _clause(match: re.Match[str], resource: Resource) -> Clause:
    name, operator, value = match["field"], match["operator"], match["value"]
    quoted = value[0] in "\"'"
    if match["key"]:
        path: tuple[str, ...] = (name, _unquoted(match["key"]))
    else:
        path = tuple(name.split("."))
    if resource.search_fields and name not in resource.search_fields:
        raise StripeError(f"Field `{name}` is an unsupported search field for resource `{resource.object}s`.")
    if operator == "~" and name not in resource.substring_fields:
        raise _unparsable(f"Field `{name}` does not support substring matches.")
    if operator == "~" and (not quoted or len(value) - 2 < _MIN_SUBSTRING):
        raise _unparsable("Substring matches need at least 3 characters in quotes.")
    text: str | None = _unquoted(value) if quoted else value
    if value == "null":
        text = None
    if operator in _COMPARISONS:
        try:
            float(text or "")
        except ValueError:
            raise _unparsable(f"The value for `{name}` must be numeric.") from None
    return Clause(path, operator, text, bool(match["not"]), by_words=name in resource.substring_fields)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def search(request: ApiRequest) -> ApiResponse:
    """Run a search: return a page of the objects that match, newest first."""
    resource = request.route.resource
    assert resource is not None
    reject_unknown_parameters(request.params, {"query", "limit", "page", "expand"})
    if "query" not in request.params:
        raise errors.missing_parameter("query")
    query = parse_query(str(request.params["query"]), resource)
    collection = request.account.collection(resource.name)
    limit = pagination.search_limit_of(request.params)
    low, high = collection.bounds()
    if "page" in request.params:
        high = _position_of(str(request.params["page"]))
    matches = list(islice(_find(collection, query, low, high), limit + 1))
    shown = [without_hidden_fields(version) for _, version in matches[:limit]]
    paths = expand_paths(request.params)
    with_total = ["total_count"] in paths
    paths = [path for path in paths if path != ["total_count"]]
    if paths:
        shown = [orjson.loads(orjson.dumps(version)) for version in shown]
        expand_objects(request.account, {"data": shown}, paths)
    has_more = len(matches) > limit
    body: Json = {
        "object": "search_result",
        "data": shown,
        "has_more": has_more,
        "next_page": _page_of(matches[limit - 1][0]) if has_more else None,
        "url": request.path,
    }
    if with_total:
        body["total_count"] = sum(1 for _ in _find(collection, query, *collection.bounds()))
    return ApiResponse(orjson.dumps(body))


def _find(collection: Collection, query: Query, low: int, high: int) -> Iterator[tuple[int, Json]]:
    """Yield the positions and the indexed versions of the objects that match, newest first."""
    conditions = _conditions(collection, query) if query.every else []
    matches = query.index_test(collection.generator)
    for position in collection.find(conditions, low, high, newest_first=True, all_written=True):
        if position not in collection.overlay:
            if matches(position):
                yield position, collection.read(position)
            continue
        version = collection.indexed_version(position)
        if version is not None and query.matches(version):
            yield position, version


def _conditions(collection: Collection, query: Query) -> list[Condition]:
    """Return conditions that narrow the search, for clauses whose value needs no case folding."""
    conditions = []
    for clause in query.clauses:
        column = collection.resource.column.get(clause.path[0])
        if column is None or len(clause.path) > 1 or clause.operator != ":" or clause.negated:
            continue
        is_address = column.name == "email" and "@" in (clause.value or "")
        if clause.value is not None and (
            (is_address and clause.value == clause.value.lower())
            or column.name in {"customer", "subscription"}
        ):
            conditions.append(Condition(column, (clause.value,)))
    return conditions


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
