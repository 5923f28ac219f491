"""The planner of reads: a pure function from quals to the requests that answer a query.

A plan may return more rows than the query selects, because Postgres checks every condition again. It never
returns fewer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.catalog.model import Filter, Kind, Resource
from stripe_fdw.fdw.planning.expansions import Expansions, expanded_access, expansions
from stripe_fdw.fdw.planning.limit import first_page_limit
from stripe_fdw.fdw.planning.missing_quals import (
    MissingParameter,
    missing_holder_error,
    missing_id_error,
    missing_parameters,
    missing_preview_qual_error,
    missing_qual_error,
)
from stripe_fdw.fdw.planning.plan import (
    Access,
    EmptyResult,
    FanOut,
    Fetch,
    Held,
    Lists,
    Previews,
    ReadPlan,
    Retrieve,
    Search,
)
from stripe_fdw.fdw.planning.pushdown import (
    Parameters,
    PushedParameter,
    fetches,
    list_name,
    parent_parameter,
    placeholders,
    pushed_parameters,
)
from stripe_fdw.fdw.planning.quals import Qual, SortKey, Unknown
from stripe_fdw.fdw.planning.restrictions import (
    Range,
    ValueSet,
    fits_path,
    possible_values,
    range_of,
    value_sets,
)
from stripe_fdw.fdw.planning.search_query import search_queries
from stripe_fdw.fdw.planning.timestamps import range_of_timestamps
from stripe_fdw.fdw.planning.unlisted import held_fetches


def plan_read(
    resource: Resource,
    quals: Sequence[Qual],
    *,
    sortkeys: Sequence[SortKey] = (),
    limit: int | None = None,
    use_search: bool = False,
    named: Collection[str] = (),
    resources: Mapping[str, Resource] | None = None,
    unpushed: Collection[str] = (),
) -> ReadPlan:
    """Plan a read of the resource.

    Args:
        resource: the resource to read.
        quals: normalised quals (``quals.normalise``), all of which hold for the selected rows.
        sortkeys: the order that the rows must come in, as ``sortable`` returned it.
        limit: how many rows are likely to be read, if known.
        use_search: True if the search API may be used where no list filter fits.
        named: the columns of which the query needs the values.
        resources: all resources by name, to find the parents of a list inside objects.
        unpushed: columns whose values are left to Postgres, or to the reader.

    Raises:
        MissingQualError: the resource can only be read with a qual that is not there.
    """
    resources = resources or {}
    quals = tuple(qual for qual in quals if not _is_always_true(qual, resource))
    sets = {
        name: possible_values(resource, value_set, resources)
        for name, value_set in value_sets(quals, dict(resource.column)).items()
        if name not in unpushed
    }
    planner = _ReadPlanner(
        resource, quals, sets, tuple(sortkeys), limit, expansions(resource, named), resources
    )
    return planner.plan(use_search)


class _ReadPlanner(Struct):
    resource: Resource
    quals: tuple[Qual, ...]
    value_sets: dict[str, ValueSet]  # by column
    sortkeys: tuple[SortKey, ...]
    limit: int | None
    expansions: Expansions
    resources: Mapping[str, Resource]
    pushed_quals: list[Qual] = field(default_factory=list)

    def plan(self, use_search: bool) -> ReadPlan:
        reason = self.contradiction()
        if reason:
            return self.finish(EmptyResult(reason))
        if self.resource.preview:
            return self.previews()
        by_id = self.retrieve()
        if by_id is not None:
            return by_id
        if self.resource.holders:
            return self.held()
        if not self.resource.list_path:
            raise missing_id_error(self.resource, self.resources)
        pushed = pushed_parameters(self.resource, self.value_sets)
        for parameter in pushed:
            if not parameter.groups:
                self.push(parameter)
                return self.finish(EmptyResult(f"no {parameter.column} can have this value"))
        search = self.search(pushed) if use_search and not self.resource.parents else None
        return search or self.lists(pushed)

    def contradiction(self) -> str:
        """Return why no row can meet the quals; an empty text if rows may."""
        for qual in self.quals:
            if qual.is_never_true:
                return f"{qual} is never true"
            if qual.operator == "is null" and qual.column == "id":
                return "id is never NULL"
        for value_set in self.value_sets.values():
            if not value_set.values:
                return f"no {value_set.column} can have this value"
        return ""

    def push(self, parameter: PushedParameter) -> None:
        self.pushed_quals.extend(self.value_sets[parameter.column].quals)

    def finish(self, access: Access) -> ReadPlan:
        wanted, expanded = self.expansions.of_objects, self.expansions.of_objects
        if isinstance(access, Lists | FanOut | Search):
            expanded = self.expansions.of_lists
        elif not isinstance(access, Retrieve):
            wanted = expanded = ()
        return ReadPlan(
            self.resource.name,
            expanded_access(access, self.expansions),
            tuple(qual for qual in self.quals if qual in self.pushed_quals),
            tuple(qual for qual in self.quals if qual not in self.pushed_quals),
            self.sortkeys,
            self.limit,
            expanded,
            tuple(path for path in wanted if path not in expanded),
        )

    # -- by id ----------------------------------------------------------------------------------------------

    def retrieve(self) -> ReadPlan | None:
        operation, ids = self.resource.retrieve, self.value_sets.get("id")
        if operation is None or ids is None or self.needs_list():
            return None
        names = placeholders(operation.path)
        parents = [parent for parent in self.resource.parents if parent.column in self.value_sets]
        if len(names) != len(self.resource.parents) + 1 or len(parents) != len(self.resource.parents):
            return None
        in_path = [
            parent_parameter(parent, self.value_sets[parent.column], name)
            for parent, name in zip(parents, names, strict=False)
        ]
        pushed = [parameter for parameter in in_path if parameter is not None]
        values = tuple(filter(fits_path, ids.values))
        if len(pushed) < len(parents) or (self.resource.is_listed and len(values) < len(ids.values)):
            return None  # such an id may exist, but cannot be part of a path: the list has it
        pushed.append(PushedParameter(names[-1], "id", tuple((value,) for value in values), in_path=True))
        for parameter in pushed:
            self.push(parameter)
        if not all(parameter.groups for parameter in pushed):
            return self.finish(EmptyResult("no object has such an id"))
        return self.finish(Retrieve(tuple(fetches("GET", operation.path, pushed, (), ()))))

    def needs_list(self) -> bool:
        """Return True if a qual is on a column that objects do not have, so that only a filter knows it."""
        return any(
            item.column in self.value_sets and not self.resource.column[item.column].path
            for item in self.resource.filters
            if item.column in self.resource.column
        )

    # -- lists ----------------------------------------------------------------------------------------------

    def lists(self, pushed: list[PushedParameter]) -> ReadPlan:
        params: list[tuple[str, str]] = []
        for item, interval in self.ranges(pushed):
            self.pushed_quals.extend(interval.quals)
            if interval.is_empty:
                return self.finish(EmptyResult(f"no {item.column} lies between these bounds"))
            params.extend((f"{item.parameter}[{name}]", bound) for name, bound in interval.params)
        for parameter in pushed:
            self.push(parameter)
        missing = missing_parameters(self.resource, {parameter.column for parameter in pushed})
        if missing:
            return self.fan_out(missing, pushed, params)
        list_fetches = self.list_fetches(pushed, params)
        if self.resource.single:
            return self.finish(Retrieve(tuple(list_fetches)))
        return self.finish(
            Lists(
                tuple(list_fetches),
                parallel=self.can_be_sliced(pushed),
                merge_sorted=bool(self.sortkeys) and len(list_fetches) > 1,
                deduplicate=any(parameter.has_duplicates for parameter in pushed),
            )
        )

    def list_fetches(self, pushed: list[PushedParameter], params: Parameters) -> list[Fetch]:
        """Return the fetches of the lists, and of those further lists that show what the first ones hide."""
        sent_names = {parameter.parameter for parameter in pushed}
        sent_names |= {name for parameter in pushed for name, _ in parameter.extra_parameters}
        defaults = {name: v for name, v in self.resource.defaults if list_name(name) not in sent_names}
        variants = [defaults]
        for further in self.resource.further_lists:
            if not sent_names & {name for name, _ in further}:
                variants.append({**defaults, **dict(further)})
        return [
            fetch
            for variant in variants
            for fetch in fetches(
                "GET", self.resource.list_path, pushed, (*params, *variant.items()), self.page_size()
            )
        ]

    def ranges(self, pushed: list[PushedParameter]) -> list[tuple[Filter, Range]]:
        """Return the filters that express a range of their column, with the range."""
        pushed_columns = {parameter.column for parameter in pushed}
        ranges = []
        for item in self.resource.filters:
            column = self.resource.column.get(item.column)
            if item.range and column is not None and item.column not in pushed_columns:
                interval = (
                    range_of_timestamps(self.quals, column)
                    if column.kind is Kind.TIMESTAMP
                    else range_of(self.quals, column)
                )
                if interval.quals:
                    ranges.append((item, interval))
        return ranges

    def can_be_sliced(self, pushed: list[PushedParameter]) -> bool:
        """Return True if the lists may come in any order, and can be cut by created."""
        created = self.resource.filter.get("created")
        return (
            all(len(parameter.groups) == 1 for parameter in pushed)
            and not self.sortkeys
            and self.limit is None
            and self.resource.newest_first
            and self.resource.paged
            and self.resource.cursor_field == "id"
            and created is not None
            and created.range
            and created.parameter == "created"
            and self.resource.column["created"].path == ("created",)
            and "created" not in {parameter.column for parameter in pushed}
        )

    def page_size(self) -> Parameters:
        """Return the parameter for the number of objects of the first page; none of a list without pages."""
        if not self.resource.paged:
            return ()
        # The next pages of version 2 of the API have as many objects as the first.
        limit = None if self.resource.is_version_2 else self.limit
        first = first_page_limit(self.resource, self.quals, self.pushed_quals, limit)
        return (("limit", str(first)),)

    # -- lists inside objects -------------------------------------------------------------------------------

    def fan_out(
        self, missing: list[MissingParameter], pushed: list[PushedParameter], params: Parameters
    ) -> ReadPlan:
        """Plan the list inside each object of the parent that has the missing parameter's ids."""
        first = missing[0]
        parent = self.resources.get(first.parents[0]) if len(first.parents) == 1 else None
        if len(missing) > 1 or parent is None or parent is self.resource or not parent.is_listed:
            columns = [parameter.column for parameter in missing]
            raise missing_qual_error(self.resource, columns, self.resources)
        parent_quals = [
            replace(qual, column=grandparent.column)
            for grandparent in parent.parents
            if grandparent.column in self.value_sets
            for qual in self.value_sets[grandparent.column].quals
        ]
        limit = None if self.limit is None else parent.page_size
        parents = plan_read(parent, parent_quals, limit=limit, resources=self.resources)
        placeholder = Unknown("{" + first.parameter + "}")
        parent_id = PushedParameter(first.parameter, first.column, ((placeholder,),), in_path=first.in_path)
        return self.finish(
            FanOut(
                parents,
                first.parameter,
                first.column,
                tuple(self.list_fetches([parent_id, *pushed], params)),
                deduplicate=any(parameter.has_duplicates for parameter in pushed),
            )
        )

    # -- objects inside others ------------------------------------------------------------------------------

    def held(self) -> ReadPlan:
        holders = self.resource.holders
        columns = [name for name in dict.fromkeys(item.column for item in holders) if name in self.value_sets]
        if not columns:
            raise missing_holder_error(self.resource, self.resources)
        value_set = self.value_sets[columns[0]]
        self.pushed_quals.extend(value_set.quals)
        found = held_fetches(self.resource, value_set)
        return self.finish(Held(found) if found else EmptyResult("no object has such an id"))

    # -- search and previews --------------------------------------------------------------------------------

    def search(self, pushed: list[PushedParameter]) -> ReadPlan | None:
        """Plan a search, unless a list has few objects: it is as fast, and never behind."""
        columns = [self.resource.column[parameter.column] for parameter in pushed]
        if any(parameter.is_constant for parameter in pushed) or any(
            column.is_selective for column in columns
        ):
            return None
        search = search_queries(self.resource, self.quals)
        if search is None or (pushed and not search.selective):
            return None
        self.pushed_quals.extend(search.quals)
        path = self.resource.search_path
        requests = [Request.of("GET", path, {"query": query, "limit": PAGE}) for query in search.queries]
        return self.finish(Search(tuple(map(Fetch, requests))))

    def previews(self) -> ReadPlan:
        pushed = pushed_parameters(self.resource, self.value_sets)
        columns = self.resource.one_of or tuple(item.column for item in self.resource.filters)
        if any(not parameter.groups for parameter in pushed):
            return self.finish(EmptyResult("no object has such an id"))
        if not any(parameter.column in columns for parameter in pushed):
            raise missing_preview_qual_error(self.resource, columns, self.resources)
        for parameter in pushed:
            parameter.is_constant = True
            self.push(parameter)
        return self.finish(Previews(tuple(fetches("POST", self.resource.list_path, pushed, (), ()))))


def _is_always_true(qual: Qual, resource: Resource) -> bool:
    """Return True if the qual says ``IS NOT NULL`` of a column that is never NULL."""
    return qual.operator == "is not null" and not resource.column[qual.column].nullable
