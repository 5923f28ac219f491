"""Decides which requests answer a query: a pure function from quals to a plan, which is a value.

A plan may bring more rows than the query selects (Postgres checks every condition again), never fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from urllib.parse import quote

from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Column, Filter, Kind, Operation, Resource
from stripe_fdw.errors import MissingQualError
from stripe_fdw.fdw.quals import EQUAL, Qual, SortKey, Unknown
from stripe_fdw.fdw.search import search_query
from stripe_fdw.fdw.values import LONGEST, Bounds, Choice, Value, bounds, choices, is_id

_STREAMS_AT_MOST = 100  # of the product of several "= any": a condition beyond is left to Postgres
PAGE = 100  # objects: Stripe's largest page


@dataclass(frozen=True, slots=True)
class Fetch:
    """One object or list to get, and the values of columns that its objects do not know themselves."""

    request: Request
    fills: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return str(self.request)


@dataclass(frozen=True, slots=True)
class Nothing:
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

    parents: Plan
    parameter: str  # the path or query parameter that takes the parent's id
    column: str
    fetches: tuple[Fetch, ...]  # with {parameter} where the id goes
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A query of the search API, which may lag behind by a minute."""

    fetch: Fetch


@dataclass(frozen=True, slots=True)
class Preview:
    """Objects that Stripe computes when asked."""

    fetches: tuple[Fetch, ...]


Access = Nothing | Retrieve | Lists | FanOut | Search | Preview


@dataclass(frozen=True, slots=True)
class Plan:
    """Which requests answer a query on a resource."""

    resource: str
    access: Access
    pushed: tuple[Qual, ...] = ()
    checked: tuple[Qual, ...] = ()  # those given that no request says; Postgres checks them all anyway
    order: tuple[SortKey, ...] = ()
    limit: int | None = None  # a hint: no more rows are likely to be read
    wanted: tuple[tuple[str, tuple[Value, ...]], ...] = ()  # by column with several values: those asked for


def sortable(resource: Resource, sortkeys: Sequence[SortKey]) -> list[SortKey]:
    """The part of an ORDER BY that any plan of the resource delivers: ``created DESC`` or nothing."""
    created = resource.column.get("created")
    good = (
        bool(sortkeys)
        and created is not None
        and created.kind is Kind.TIME
        and created.path == ("created",)
        and not created.nullable
        and sortkeys[0].column == "created"
        and sortkeys[0].descending
        and resource.newest_first
        and not resource.preview
        and not resource.parents
        and not any(item.required for item in resource.filters)
    )
    return [sortkeys[0]] if good else []


def plan(
    resource: Resource,
    quals: Sequence[Qual],
    *,
    sortkeys: Sequence[SortKey] = (),
    limit: int | None = None,
    use_search: bool = False,
    resources: Mapping[str, Resource] | None = None,
) -> Plan:
    """Plan a read of the resource.

    Args:
        resource: what is read.
        quals: normalised quals (``quals.normalise``), all of which hold for the rows wanted.
        sortkeys: the order that the rows must come in: what ``sortable`` gave.
        limit: how many rows are likely to be read, if known.
        use_search: whether the search API may be used where no list filter fits.
        resources: all resources by name, to find the parents of a list inside objects.

    Raises:
        MissingQualError: the resource can only be read with a qual that is not there.
    """
    given = choices(quals, dict(resource.column))
    planner = _Planner(resource, tuple(quals), given, tuple(sortkeys), limit, resources or {})
    return planner.plan(use_search)


@dataclass(slots=True)
class _Axis:
    """A parameter and the values it is sent with, one list each; with ``many``, all in one list."""

    parameter: str
    column: str
    values: tuple[Value, ...]
    in_path: bool = False
    filled: bool = False
    many: bool = False
    overlapping: bool = False


@dataclass(slots=True)
class _Planner:
    resource: Resource
    quals: tuple[Qual, ...]
    given: dict[str, Choice]
    sortkeys: tuple[SortKey, ...]
    limit: int | None
    resources: Mapping[str, Resource]
    pushed: list[Qual] = field(default_factory=list)

    def plan(self, use_search: bool) -> Plan:
        reason = self.contradiction()
        if reason:
            return self.done(Nothing(reason))
        if self.resource.preview:
            return self.preview()
        by_id = self.retrieve()
        if by_id is not None:
            return by_id
        axes = self.axes()
        for axis in axes:
            if not axis.values:
                self.push(self.given[axis.column])
                return self.done(Nothing(f"no {axis.column} can have this value"))
        if use_search and not any(axis for axis in axes if not axis.in_path):
            found = self.search()
            if found is not None:
                return found
        return self.lists(axes)

    def contradiction(self) -> str:
        for qual in self.quals:
            if qual.operator == EQUAL and qual.value is None:
                return f"{qual.column} = NULL is never true"
        for choice in self.given.values():
            if not choice.values:
                return f"no {choice.column} can have this value"
        return ""

    def push(self, choice: Choice) -> None:
        self.pushed.extend(choice.quals)

    def done(self, access: Access) -> Plan:
        several = {name for name, column in self.resource.column.items() if _several(column)}
        return Plan(
            self.resource.name,
            access,
            tuple(qual for qual in self.quals if qual in self.pushed),
            tuple(qual for qual in self.quals if qual not in self.pushed),
            self.sortkeys,
            self.limit,
            tuple((name, choice.values) for name, choice in self.given.items() if name in several),
        )

    # -- by id ------------------------------------------------------------------------------------------

    def retrieve(self) -> Plan | None:
        operation, ids = self.resource.retrieve, self.given.get("id")
        if operation is None or ids is None or self.needs_list():
            return None
        parents = [self.given.get(parent.column) for parent in self.resource.parents]
        if any(parent is None for parent in parents):
            return None
        good = tuple(value for value in ids.values if is_id(value))
        if len(good) < len(ids.values) and _chosen_by_users(self.resource):
            return None  # such an id may exist, but cannot be asked for: all are listed
        self.push(ids)
        if not good:
            return self.done(Nothing("no object has such an id"))
        above = [choice for choice in parents if choice is not None]
        for choice in above:
            self.push(choice)
        axes = [
            _Axis(parent.parameter, parent.column, choice.values, in_path=True, filled=True)
            for parent, choice in zip(self.resource.parents, above, strict=True)
        ]
        axes.append(_Axis(_id_parameter(operation, self.resource), "id", good, in_path=True))
        return self.done(Retrieve(_fetches("GET", operation.path, axes, (), ())))

    def needs_list(self) -> bool:
        """Whether a qual is on a column that only a list's filter can answer."""
        return any(
            not self.resource.column[item.column].path and item.column in self.given
            for item in self.resource.filters
            if item.column in self.resource.column
        )

    # -- lists ------------------------------------------------------------------------------------------

    def axes(self) -> list[_Axis]:
        """The parents and filters whose values the quals give, those that must be there first."""
        axes = []
        for parent in self.resource.parents:
            choice = self.given.get(parent.column)
            if choice is not None:
                values = tuple(value for value in choice.values if is_id(value))
                axes.append(_Axis(parent.parameter, parent.column, values, in_path=True, filled=True))
        streams = 1
        for axis in axes:
            streams *= max(1, len(axis.values))
        for item in self.resource.filters:
            found = self.filter_axis(item)
            if found is None:
                continue
            must = item.required or found.filled
            count = 1 if found.many else max(1, len(found.values))
            if must or count == 1 or streams == 1 or streams * count <= _STREAMS_AT_MOST:
                axes.append(found)
                streams *= count
        return axes

    def filter_axis(self, item: Filter) -> _Axis | None:
        choice, column = self.given.get(item.column), self.resource.column.get(item.column)
        if choice is None or column is None or not item.equal or column.kind in (Kind.DECIMAL, Kind.FLOAT):
            return None
        filled = not column.path
        values = tuple(value for value in choice.values if _accepted(value, item))
        if len(values) < len(choice.values) and not (filled or item.required):
            return None  # Stripe would refuse the value, yet an object may have it
        return _Axis(
            item.parameter,
            item.column,
            values,
            filled=filled,
            many=item.many and not filled and not any(isinstance(value, Unknown) for value in values),
            overlapping=filled or _several(column) or not item.exact,
        )

    def ranges(self, axes: list[_Axis]) -> list[tuple[Filter, Bounds]]:
        taken = {axis.column for axis in axes}
        found = []
        for item in self.resource.filters:
            column = self.resource.column.get(item.column)
            if item.range and column is not None and item.column not in taken:
                between = bounds(self.quals, column)
                if between.quals:
                    found.append((item, between))
        return found

    def lists(self, axes: list[_Axis]) -> Plan:
        ranges = self.ranges(axes)
        for item, between in ranges:
            if between.empty:
                self.pushed.extend(between.quals)
                return self.done(Nothing(f"no {item.column} lies between these bounds"))
        params: list[tuple[str, str]] = []
        for item, between in ranges:
            params.extend((f"{item.parameter}[{name}]", text) for name, text in between.params)
            self.pushed.extend(between.quals)
        for axis in axes:
            self.push(self.given[axis.column])
        set_already = {axis.parameter for axis in axes}
        defaults = [(name, text) for name, text in self.resource.defaults if name not in set_already]
        missing = self.missing(axes)
        if not missing:
            fetches = _fetches("GET", self.resource.list_path, axes, (*params, *defaults), self.page_size())
            return self.done(self.several_lists(fetches, axes))
        return self.fan_out(missing, axes, (*params, *defaults))

    def several_lists(self, fetches: tuple[Fetch, ...], axes: list[_Axis]) -> Lists:
        alone = len(fetches) == 1
        created = self.resource.filter.get("created")
        return Lists(
            fetches,
            sliced=alone
            and not self.sortkeys
            and self.limit is None
            and self.resource.newest_first
            and self.resource.paged
            and created is not None
            and created.range
            and "created" not in {axis.column for axis in axes},
            merged=bool(self.sortkeys) and not alone,
            unique=not alone and any(axis.overlapping and len(axis.values) > 1 for axis in axes),
        )

    def page_size(self) -> tuple[tuple[str, str], ...]:
        if not self.resource.paged:
            return ()
        said = set(self.pushed)
        everything = all(qual in said for qual in self.quals)
        exact = all(item.exact for item in self.resource.filters if item.column in {q.column for q in said})
        small = self.limit is not None and everything and exact
        return (("limit", str(max(1, min(self.limit or PAGE, PAGE)) if small else PAGE)),)

    # -- lists inside objects ---------------------------------------------------------------------------

    def missing(self, axes: list[_Axis]) -> list[tuple[str, str, bool, tuple[str, ...]]]:
        """Parameters that must be there and are not: parameter, column, in the path, resources of its ids."""
        there = {axis.column for axis in axes}
        found: list[tuple[str, str, bool, tuple[str, ...]]]
        found = [
            (p.parameter, p.column, True, (p.resource,))
            for p in self.resource.parents
            if p.column not in there
        ]
        for item in self.resource.filters:
            if item.required and item.column not in there:
                column = self.resource.column.get(item.column)
                found.append((item.parameter, item.column, False, column.references if column else ()))
        return found

    def fan_out(
        self,
        missing: list[tuple[str, str, bool, tuple[str, ...]]],
        axes: list[_Axis],
        params: tuple[tuple[str, str], ...],
    ) -> Plan:
        parameter, column, in_path, names = missing[0]
        parent = self.resources.get(names[0]) if len(names) == 1 else None
        if len(missing) > 1 or parent is None or parent is self.resource or parent.preview:
            raise self.missing_error([name for _, name, _, _ in missing])
        above = [
            replace(qual, column=other.column)
            for other in parent.parents
            for qual in (self.given[other.column].quals if other.column in self.given else ())
        ]
        parents = plan(parent, above, resources=self.resources)
        open_axis = _Axis(parameter, column, (Unknown("{" + parameter + "}"),), in_path=in_path)
        fetches = _fetches("GET", self.resource.list_path, [open_axis, *axes], params, self.page_size())
        overlapping = any(axis.overlapping and len(axis.values) > 1 for axis in axes)
        return self.done(FanOut(parents, parameter, column, fetches, unique=overlapping))

    def missing_error(self, columns: list[str]) -> MissingQualError:
        conditions = " AND ".join(f"{name} = '{self.example(name)}'" for name in columns)
        what = " and ".join(columns)
        return MissingQualError(
            f'table "{self.resource.name}" can only be read with a condition on {what}',
            detail=f"Stripe lists these objects by {what} alone.",
            hint=f"Read it so: SELECT … WHERE {conditions}",
        )

    def example(self, name: str) -> str:
        column = self.resource.column.get(name)
        names = [parent.resource for parent in self.resource.parents if parent.column == name]
        for reference in (*names, *(column.references if column else ())):
            other = self.resources.get(reference)
            if other is not None and other.id_prefix:
                return other.id_prefix + "…"
        values = self.resource.filter[name].values if name in self.resource.filter else ()
        return values[0] if values else "…"

    # -- search and previews ----------------------------------------------------------------------------

    def search(self) -> Plan | None:
        found = search_query(self.resource, self.quals)
        if found is None or self.resource.parents:
            return None
        text, said = found
        self.pushed.extend(said)
        params = {"query": text, "limit": PAGE}
        return self.done(Search(Fetch(Request.of("GET", self.resource.search_path, params))))

    def preview(self) -> Plan:
        axes = [axis for axis in self.axes() if axis.values]
        if not axes:
            raise self.missing_preview()
        for axis in axes:
            axis.filled = True
            self.push(self.given[axis.column])
        return self.done(Preview(_fetches("POST", self.resource.list_path, axes, (), ())))

    def missing_preview(self) -> MissingQualError:
        names = [item.column for item in self.resource.filters if item.equal]
        return MissingQualError(
            f'table "{self.resource.name}" can only be read with a condition on {" or ".join(names)}',
            detail="Stripe computes these objects when asked: there is no list of them.",
            hint=f"Read it so: SELECT … WHERE {names[0]} = '{self.example(names[0])}'" if names else None,
        )


def _fetches(
    method: str,
    endpoint: str,
    axes: Sequence[_Axis],
    params: Sequence[tuple[str, str]],
    last: Sequence[tuple[str, str]],
) -> tuple[Fetch, ...]:
    """One fetch for each combination of the axes' values, in the order in which these were given."""
    single = [axis for axis in axes if not axis.many]
    lists = [
        (f"{axis.parameter}[{i}]", _text(v)) for axis in axes if axis.many for i, v in enumerate(axis.values)
    ]
    found = []
    for values in product(*(axis.values for axis in single)):
        chosen = list(zip(single, values, strict=True))
        path = endpoint
        for axis, value in chosen:
            if axis.in_path:
                text = str(value) if isinstance(value, Unknown) else quote(_text(value), safe="")
                path = path.replace("{" + axis.parameter + "}", text)
        sent = [(axis.parameter, _text(value)) for axis, value in chosen if not axis.in_path]
        request = Request(
            "POST" if method == "POST" else "GET", endpoint, path, (*sent, *lists, *params, *last)
        )
        found.append(Fetch(request, tuple((axis.column, value) for axis, value in chosen if axis.filled)))
    return tuple(found)


def _text(value: Value) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _accepted(value: Value, item: Filter) -> bool:
    """Whether Stripe takes the value for this filter."""
    if isinstance(value, Unknown):
        return True
    text = _text(value)
    return 0 < len(text) <= LONGEST and (not item.values or text in item.values)


def _several(column: Column) -> bool:
    """Whether an object may have several values of the column: its path goes through a list."""
    return "data" in column.path


def _chosen_by_users(resource: Resource) -> bool:
    """Whether whoever creates the object may choose its id (coupons, plans, products)."""
    return resource.create is not None and any(p.name == "id" for p in resource.create.parameters)


def _id_parameter(operation: Operation, resource: Resource) -> str:
    """The name in the path that takes the object's own id: the last one."""
    parents = {parent.parameter for parent in resource.parents}
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    return next((name for name in reversed(names) if name not in parents), "id")
