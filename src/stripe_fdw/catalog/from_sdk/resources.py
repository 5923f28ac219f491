"""Tables with all that belongs to them: columns, filters, parents, operations, events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stripe_fdw.catalog.from_sdk.columns import References, merged, object_columns
from stripe_fdw.catalog.from_sdk.events import EventMap
from stripe_fdw.catalog.from_sdk.filters import read_filters
from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.from_sdk.parameters import Shapes
from stripe_fdw.catalog.model import (
    Column,
    Filter,
    Freshness,
    Kind,
    Operation,
    Parent,
    Resource,
    Transition,
    WritePath,
)
from stripe_fdw.catalog.overlay.columns import DERIVED_COLUMNS, REFERENCES
from stripe_fdw.catalog.overlay.events import EVENTS_OF, SILENT_UPDATES
from stripe_fdw.catalog.overlay.filters import SEARCH_FIELDS
from stripe_fdw.catalog.overlay.tables import (
    AREAS,
    ID_PREFIXES,
    LIST_DEFAULTS,
    NAMESPACE_AREAS,
    NOTES,
    OTHER_ORDER,
    UPCOMING_INVOICE,
    ListDefaults,
)
from stripe_fdw.catalog.overlay.transitions import DELETED_WHEN, HINTS, TRANSITIONS
from stripe_fdw.catalog.overlay.writes import WRITE_PATHS


@dataclass(frozen=True)
class Sdk:
    """What the tables are made from."""

    operations: list[SdkOperation]
    tables: dict[str, SdkOperation]
    references: References
    events: EventMap
    shapes: Shapes


def build_resource(name: str, listing: SdkOperation, sdk: Sdk) -> Resource:
    """The table of one list."""
    related = _Related.of(listing, sdk)
    written = related.objects_written()
    columns = merged([object_columns(item, sdk.references, written) for item in listing.listed])
    columns = _with_references(name, columns)
    parents, columns = _with_parents(listing, columns, sdk)
    filters, columns = read_filters(name, listing.parameters, columns, sdk.references)
    columns = _with_overlay(name, columns)
    defaults = LIST_DEFAULTS.get(name, ListDefaults())
    events = sdk.events.of(name)
    freshness = sdk.events.freshness(name)
    silent = related.update and not any(event.endswith(".updated") for event in events)
    quiet = freshness is Freshness.EVENTS and events and silent
    return Resource(
        name=name,
        object=listing.listed[0].object_name if len(listing.listed) == 1 else "",
        area=_area(name, listing),
        list_path=listing.path,
        columns=tuple(_ordered(columns)),
        filters=tuple(filters),
        parents=tuple(parents),
        defaults=defaults.parameters,
        further_lists=defaults.further_lists,
        retrieve=related.retrieve,
        create=related.create,
        update=related.update,
        delete=related.delete,
        operations=related.others,
        transitions=_transitions(name, related),
        write_paths=tuple(_write_paths(name, related, sdk.shapes)),
        deleted_when=DELETED_WHEN.get(name, ()),
        hints=tuple(HINTS.get(name, {}).items()),
        search_fields=SEARCH_FIELDS.get(name, ()) if related.search else (),
        search_path=related.search,
        events=events,
        freshness=freshness,
        events_of=EVENTS_OF.get(name, ""),
        newest_first=_newest_first(name, columns),
        paged={"limit", "starting_after"} <= set(listing.shapes),
        id_prefix=ID_PREFIXES.get(name, ""),
        notes=(*NOTES.get(name, ()), *((SILENT_UPDATES,) if quiet else ())),
    )


def build_preview(base: Resource, operation: Operation) -> Resource:
    """A table of what an operation computes: ``upcoming_invoice``."""
    preview = UPCOMING_INVOICE
    own = [
        replace(column, full_list_table="") for column in base.columns
    ]  # what it embeds has no list elsewhere
    columns = [*own, *(column for column in preview.columns if column.name not in base.column)]
    return Resource(
        name=preview.name,
        object=base.object,
        area=base.area,
        list_path=operation.path,
        columns=tuple(columns),
        filters=tuple(Filter(name, name) for name in preview.filters),
        freshness=Freshness.RESCAN,
        newest_first=False,
        paged=False,
        id_prefix=preview.id_prefix,
        preview=True,
        one_of=preview.one_of,
        notes=preview.notes,
    )


def _with_parents(
    listing: SdkOperation, columns: list[Column], sdk: Sdk
) -> tuple[list[Parent], list[Column]]:
    """The ids in the path, each with the column that shows it; one that the object lacks is added."""
    parents = []
    known = {column.name: column for column in columns}
    for position, parameter in enumerate(listing.ids):
        prefix = listing.shape_of_path.split("{}")[position].rstrip("/")
        resource = next((key for key, item in sdk.tables.items() if item.shape_of_path == prefix), "")
        column = _parent_column(parameter, resource, known)
        if column not in known:
            known[column] = Column(column, Kind.REFERENCE, (), False, (resource,) if resource else ())
        elif known[column].kind is Kind.TEXT and resource:
            known[column] = replace(known[column], kind=Kind.REFERENCE, references=(resource,))
        parents.append(Parent(parameter, column, resource))
    return parents, list(known.values())


def _parent_column(parameter: str, resource: str, known: dict[str, Column]) -> str:
    if parameter != "id" and (parameter not in known or known[parameter].kind in (Kind.REFERENCE, Kind.TEXT)):
        return parameter
    for column in known.values():
        if column.kind is Kind.REFERENCE and column.references == (resource,):
            return column.name
    return resource


def _with_references(name: str, columns: list[Column]) -> list[Column]:
    """The columns with those texts as references that the overlay knows to be ids."""
    return [
        replace(column, kind=Kind.REFERENCE, references=(REFERENCES[name, column.name],))
        if (name, column.name) in REFERENCES
        else column
        for column in columns
    ]


def _with_overlay(name: str, columns: list[Column]) -> list[Column]:
    known = {column.name: column for column in columns}
    for column in DERIVED_COLUMNS.get(name, ()):
        known[column.name] = column
    return list(known.values())


def _ordered(columns: list[Column]) -> list[Column]:
    """The id first, then as the SDK has them."""
    return sorted(columns, key=lambda column: column.name != "id")


def _newest_first(name: str, columns: list[Column]) -> bool:
    created = any(column.name == "created" and column.kind is Kind.TIME and column.path for column in columns)
    return created and name not in OTHER_ORDER


def _transitions(name: str, related: _Related) -> tuple[Transition, ...]:
    """The states that operations reach. Raises ValueError for an operation that the table lacks."""
    named = {item.name: item for item in (*related.others, related.delete) if item is not None}
    found = {**named, **({"update": related.update} if related.update else {})}
    wanted = TRANSITIONS.get(name, ())
    missing = [item.operation for item in wanted if item.operation not in found]
    if missing:
        raise ValueError(f"TRANSITIONS: {name} has no operation {', '.join(missing)}")
    return tuple(
        Transition(**{**vars(entry), "operation": found[entry.operation], "ends_object": entry.ends_object})
        for entry in wanted
    )


def _write_paths(name: str, related: _Related, shapes: Shapes) -> Iterator[WritePath]:
    """Where derived columns are written. Raises ValueError for a path that neither create nor update has."""
    for entry in WRITE_PATHS.get(name, ()):
        on_create = shapes.at(related.create, entry.path) is not None
        # An update would append to the list that is there.
        in_list = any(step.isdigit() for step in entry.path)
        on_update = not in_list and shapes.at(related.update, entry.path) is not None
        if not on_create and not on_update:
            raise ValueError(
                f"WRITE_PATHS: {name}.{entry.column} is written nowhere at {'.'.join(entry.path)}"
            )
        yield replace(entry, on_create=on_create, on_update=on_update)


def _area(name: str, listing: SdkOperation) -> str:
    namespace = listing.listed[0].module.name.split(".")[1]
    return AREAS.get(name) or NAMESPACE_AREAS.get(namespace, namespace)


@dataclass(frozen=True)
class _Related:
    """The operations of one list, by what they do to its rows."""

    retrieve: Operation | None = None
    create: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    search: str = ""
    others: tuple[Operation, ...] = ()

    def objects_written(self) -> frozenset[str]:
        """The parameters that take an object where an id would not do."""
        operations = [item for item in (self.create, self.update) if item is not None]
        return frozenset(
            item.name for each in operations for item in each.parameters if item.kind is Kind.JSON
        )

    @classmethod
    def of(cls, listing: SdkOperation, sdk: Sdk) -> _Related:
        base = listing.shape_of_path
        single = f"{base}/{{}}"
        roles = {("GET", single): "retrieve", ("POST", base): "create", ("POST", single): "update"}
        roles[("DELETE", single)] = "delete"
        other_lists = {item.shape_of_path for item in sdk.tables.values() if item is not listing}
        found: dict[str, Operation] = {}
        others = []
        search = ""
        for item in sdk.operations:
            path = item.shape_of_path
            role = roles.get((item.method, path))
            if item.searched and path == f"{base}/search":
                search = item.path
            elif role:
                found[role] = sdk.shapes.operation(item)
            elif path.startswith(f"{base}/") and not item.is_list and not _inside(path, base, other_lists):
                others.append(sdk.shapes.operation(item))
        return cls(
            retrieve=found.get("retrieve"),
            create=found.get("create"),
            update=found.get("update"),
            delete=found.get("delete"),
            search=search,
            others=tuple(others),
        )


def _inside(path: str, base: str, other_lists: set[str]) -> bool:
    """Whether an operation belongs to a list further inside."""
    return any(
        len(other) > len(base) and (path == other or path.startswith(f"{other}/")) for other in other_lists
    )
