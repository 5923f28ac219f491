"""Decides which requests answer a query: a pure function from quals to a plan.

A plan may bring more rows than the query selects (Postgres checks every condition again), never fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.catalog.model import Filter, Kind, Resource
from stripe_fdw.errors import MissingQualError
from stripe_fdw.fdw.planning.plan import (
    Access,
    EmptyResult,
    FanOut,
    Fetch,
    Lists,
    Previews,
    ReadPlan,
    Retrieve,
    Search,
)
from stripe_fdw.fdw.planning.pushdown import (
    Params,
    PushedParameter,
    fetches,
    is_multivalued,
    parent_parameter,
    placeholders,
    pushed_parameters,
)
from stripe_fdw.fdw.planning.quals import Qual, SortKey, Unknown
from stripe_fdw.fdw.planning.restrictions import Range, ValueSet, fits_path, is_id, range_of, value_sets
from stripe_fdw.fdw.planning.search_query import search_query


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


def plan_read(
    resource: Resource,
    quals: Sequence[Qual],
    *,
    sortkeys: Sequence[SortKey] = (),
    limit: int | None = None,
    use_search: bool = False,
    resources: Mapping[str, Resource] | None = None,
) -> ReadPlan:
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
    every = resources or {}
    quals = [qual for qual in quals if not _always(qual, resource)]
    given = {
        name: _possible(resource, choice, every)
        for name, choice in value_sets(quals, dict(resource.column)).items()
    }
    return _Planner(resource, tuple(quals), given, tuple(sortkeys), limit, every).plan(use_search)


@dataclass(frozen=True, slots=True)
class _Missing:
    """A parameter that must be there and is not."""

    parameter: str
    column: str
    in_path: bool
    parents: tuple[str, ...]  # the resources whose ids it takes


@dataclass(slots=True)
class _Planner:
    resource: Resource
    quals: tuple[Qual, ...]
    given: dict[str, ValueSet]
    sortkeys: tuple[SortKey, ...]
    limit: int | None
    resources: Mapping[str, Resource]
    pushed: list[Qual] = field(default_factory=list)

    def plan(self, use_search: bool) -> ReadPlan:
        reason = self.contradiction()
        if reason:
            return self.done(EmptyResult(reason))
        if self.resource.preview:
            return self.preview()
        by_id = self.retrieve()
        if by_id is not None:
            return by_id
        axes = pushed_parameters(self.resource, self.given)
        for axis in axes:
            if not axis.groups:
                self.push(axis)
                return self.done(EmptyResult(f"no {axis.column} can have this value"))
        found = self.search() if use_search and not axes and not self.resource.parents else None
        return found or self.lists(axes)

    def contradiction(self) -> str:
        for qual in self.quals:
            if qual.never:
                return f"{qual} is never true"
            if qual.operator == "is null" and qual.column == "id":
                return "id is never NULL"
        for choice in self.given.values():
            if not choice.values:
                return f"no {choice.column} can have this value"
        return ""

    def push(self, axis: PushedParameter) -> None:
        self.pushed.extend(self.given[axis.column].quals)

    def done(self, access: Access) -> ReadPlan:
        return ReadPlan(
            self.resource.name,
            access,
            tuple(qual for qual in self.quals if qual in self.pushed),
            tuple(qual for qual in self.quals if qual not in self.pushed),
            self.sortkeys,
            self.limit,
        )

    # -- by id ------------------------------------------------------------------------------------------

    def retrieve(self) -> ReadPlan | None:
        operation, ids = self.resource.retrieve, self.given.get("id")
        if operation is None or ids is None or self.needs_list():
            return None
        names = placeholders(operation.path)
        above = [self.given[parent.column] for parent in self.resource.parents if parent.column in self.given]
        if len(names) != len(self.resource.parents) + 1 or len(above) != len(self.resource.parents):
            return None
        parents = [
            parent_parameter(parent, choice, name)
            for parent, choice, name in zip(self.resource.parents, above, names, strict=False)
        ]
        axes = [axis for axis in parents if axis is not None]
        if len(axes) < len(parents) or not all(map(fits_path, ids.values)):
            return None  # such an id may exist, but cannot be asked for: all are listed
        axes.append(PushedParameter(names[-1], "id", tuple((value,) for value in ids.values), in_path=True))
        for axis in axes:
            self.push(axis)
        if not all(axis.groups for axis in axes):
            return self.done(EmptyResult("no object has such an id"))
        return self.done(Retrieve(tuple(fetches("GET", operation.path, axes, (), ()))))

    def needs_list(self) -> bool:
        """Whether a qual is on a column that only a list's filter can answer."""
        return any(
            item.column in self.given and not self.resource.column[item.column].path
            for item in self.resource.filters
            if item.column in self.resource.column
        )

    # -- lists ------------------------------------------------------------------------------------------

    def lists(self, axes: list[PushedParameter]) -> ReadPlan:
        params: list[tuple[str, str]] = []
        for item, between in self.ranges(axes):
            self.pushed.extend(between.quals)
            if between.empty:
                return self.done(EmptyResult(f"no {item.column} lies between these bounds"))
            params.extend((f"{item.parameter}[{name}]", text) for name, text in between.params)
        for axis in axes:
            self.push(axis)
        missing = self.missing(axes)
        if missing:
            return self.fan_out(missing, axes, params)
        found = self.fetches(axes, params)
        return self.done(
            Lists(
                tuple(found),
                parallel=self.sliceable(axes),
                merge_sorted=bool(self.sortkeys) and len(found) > 1,
                deduplicate=any(axis.repeats for axis in axes),
            )
        )

    def fetches(self, axes: list[PushedParameter], params: Params) -> list[Fetch]:
        """The lists, and those further ones that show what the first hide."""
        said = {axis.parameter for axis in axes} | {name for axis in axes for name, _ in axis.also}
        defaults = {name: text for name, text in self.resource.defaults if name not in said}
        variants = [defaults]
        for further in self.resource.further_lists:
            if not said & {name for name, _ in further}:
                variants.append({**defaults, **dict(further)})
        found = []
        for variant in variants:
            sent = (*params, *variant.items())
            found.extend(fetches("GET", self.resource.list_path, axes, sent, self.page_size()))
        return found

    def ranges(self, axes: list[PushedParameter]) -> list[tuple[Filter, Range]]:
        taken = {axis.column for axis in axes}
        found = []
        for item in self.resource.filters:
            column = self.resource.column.get(item.column)
            if item.range and column is not None and item.column not in taken:
                between = range_of(self.quals, column)
                if between.quals:
                    found.append((item, between))
        return found

    def sliceable(self, axes: list[PushedParameter]) -> bool:
        """Whether the lists may come in any order, and can be cut by created."""
        created = self.resource.filter.get("created")
        return (
            all(len(axis.groups) == 1 for axis in axes)
            and not self.sortkeys
            and self.limit is None
            and self.resource.newest_first
            and self.resource.paged
            and self.resource.cursor_field == "id"
            and created is not None
            and created.range
            and created.parameter == "created"
            and self.resource.column["created"].path == ("created",)
            and "created" not in {axis.column for axis in axes}
        )

    def page_size(self) -> Params:
        """A small first page, if every condition is Stripe's own business; else the largest."""
        if not self.resource.paged:
            return ()
        columns = {qual.column for qual in self.pushed}
        exact = all(item.exact for item in self.resource.filters if item.column in columns) and not any(
            is_multivalued(self.resource.column[name]) for name in columns
        )
        if self.limit is None or not exact or any(qual not in self.pushed for qual in self.quals):
            return (("limit", str(PAGE)),)
        return (("limit", str(max(1, min(self.limit, PAGE)))),)

    # -- lists inside objects ---------------------------------------------------------------------------

    def missing(self, axes: list[PushedParameter]) -> list[_Missing]:
        there = {axis.column for axis in axes}
        found = [
            _Missing(parent.parameter, parent.column, True, (parent.resource,))
            for parent in self.resource.parents
            if parent.column not in there
        ]
        for item in self.resource.filters:
            if item.required and item.column not in there:
                column = self.resource.column.get(item.column)
                references = column.references if column else ()
                found.append(_Missing(item.parameter, item.column, False, references))
        return found

    def fan_out(self, missing: list[_Missing], axes: list[PushedParameter], params: Params) -> ReadPlan:
        one = missing[0]
        parent = self.resources.get(one.parents[0]) if len(one.parents) == 1 else None
        if len(missing) > 1 or parent is None or parent is self.resource or parent.preview:
            raise self.missing_error([item.column for item in missing])
        above = [
            replace(qual, column=other.column)
            for other in parent.parents
            for qual in (self.given[other.column].quals if other.column in self.given else ())
        ]
        parents = plan_read(
            parent, above, limit=None if self.limit is None else PAGE, resources=self.resources
        )
        hole = PushedParameter(
            one.parameter, one.column, ((Unknown("{" + one.parameter + "}"),),), in_path=one.in_path
        )
        found = self.fetches([hole, *axes], params)
        unique = any(axis.repeats for axis in axes)
        return self.done(FanOut(parents, one.parameter, one.column, tuple(found), unique))

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
        if column is not None and column.kind is Kind.TIME:
            return "2026-01-01 00:00:00+00"
        return values[0] if values else "…"

    # -- search and previews ----------------------------------------------------------------------------

    def search(self) -> ReadPlan | None:
        found = search_query(self.resource, self.quals)
        if found is None:
            return None
        query, said = found
        self.pushed.extend(said)
        params = {"query": query, "limit": PAGE}
        return self.done(Search(Fetch(Request.of("GET", self.resource.search_path, params))))

    def preview(self) -> ReadPlan:
        axes = pushed_parameters(self.resource, self.given)
        names = self.resource.one_of or tuple(item.column for item in self.resource.filters)
        if any(not axis.groups for axis in axes):
            return self.done(EmptyResult("no object has such an id"))
        if not any(axis.column in names for axis in axes):
            raise MissingQualError(
                f'table "{self.resource.name}" can only be read with a condition on {" or ".join(names)}',
                detail="Stripe computes these objects when asked: there is no list of them.",
                hint=f"Read it so: SELECT … WHERE {names[0]} = '{self.example(names[0])}'",
            )
        for axis in axes:
            axis.filled = True
            self.push(axis)
        return self.done(Previews(tuple(fetches("POST", self.resource.list_path, axes, (), ()))))


def _always(qual: Qual, resource: Resource) -> bool:
    """Whether the qual says of a column that it is not NULL, which it never is."""
    return qual.operator == "is not null" and not resource.column[qual.column].nullable


def _possible(resource: Resource, choice: ValueSet, resources: Mapping[str, Resource]) -> ValueSet:
    """The choice without texts that cannot be ids, where ids are chosen by Stripe: no object has them."""
    column = resource.column[choice.column]
    parents = [parent.resource for parent in resource.parents if parent.column == column.name]
    own = column.name == "id" and resource.retrieve is not None
    if not (own or parents or column.kind is Kind.REFERENCE):
        return choice
    good = tuple(value for value in choice.values if is_id(value))
    if len(good) == len(choice.values):
        return choice
    targets = [resources[name] for name in (*column.references, *parents) if name in resources]
    chosen = any(map(_chosen_by_users, [resource] if own else targets))
    return choice if chosen else replace(choice, values=good)


def _chosen_by_users(resource: Resource) -> bool:
    """Whether whoever creates the object may choose its id (coupons, plans, products)."""
    return resource.create is not None and any(p.name == "id" for p in resource.create.parameters)
