"""Resources built from a list of the SDK: columns, filters, parents, operations, events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from stripe_fdw.catalog.from_sdk.columns import References, merged, object_columns
from stripe_fdw.catalog.from_sdk.events import EventMap
from stripe_fdw.catalog.from_sdk.filters import read_filters
from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.from_sdk.parameters import Shapes
from stripe_fdw.catalog.from_sdk.unlisted import Unlisted
from stripe_fdw.catalog.from_sdk.version_2 import page_size
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
from stripe_fdw.catalog.overlay.columns import DERIVED_COLUMNS, REFERENCES, WHOLE_OBJECTS
from stripe_fdw.catalog.overlay.events import EVENTS_OF, LISTED_DAYS, NO_UPDATE_EVENT
from stripe_fdw.catalog.overlay.filters import SEARCH_FIELDS, SUBSTRING_FIELDS
from stripe_fdw.catalog.overlay.final_states import FINAL_STATES
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
from stripe_fdw.catalog.overlay.volatile import VOLATILE
from stripe_fdw.catalog.overlay.writes import WRITE_PATHS


@dataclass(frozen=True)
class Sdk:
    """The parts of the SDK that tables are built from."""

    operations: list[SdkOperation]
    tables: dict[str, SdkOperation]
    unlisted: dict[str, Unlisted]
    references: References
    events: EventMap
    shapes: Shapes


def build_unlisted(name: str, unlisted: Unlisted, sdk: Sdk, listed: Iterable[Resource]) -> Resource:
    """Build the table of objects that Stripe does not list.

    An object of a kind that another table lists, such as the account of the key, has the columns of that one.
    """
    built = build_resource(name, unlisted.operation, sdk, single=unlisted.single)
    columns = next((item.columns for item in listed if item.object == built.object), built.columns)
    is_wrapped = bool(unlisted.wraps)
    return replace(
        built,
        columns=columns,
        list_path=built.list_path if unlisted.single else "",
        defaults=built.defaults or unlisted.defaults,
        retrieve=None if is_wrapped else built.retrieve,
        operations=() if is_wrapped else built.operations,
        freshness=Freshness.RESCAN,
        newest_first=built.newest_first and not unlisted.single and not unlisted.holders,
        paged=False,
        notes=NOTES.get(name, ()),
        single=unlisted.single,
        wraps=unlisted.wraps,
        holders=unlisted.holders,
    )


def build_resource(name: str, listing: SdkOperation, sdk: Sdk, *, single: bool = False) -> Resource:
    """Build the table of a list; or of an operation that answers with a ``single`` object."""
    related = _Related.of(listing, sdk, single=single)
    written = related.object_parameters() | WHOLE_OBJECTS.get(name, frozenset())
    columns = merged([object_columns(item, sdk.references, written) for item in listing.listed])
    columns = _with_references(name, columns)
    parents, columns = _with_parents(listing, columns, sdk)
    filters, columns = read_filters(name, listing.parameters, columns, sdk.references)
    columns = _with_derived(name, columns)
    defaults = LIST_DEFAULTS.get(name, ListDefaults())
    events = sdk.events.of(name)
    freshness = sdk.events.freshness(name)
    has_update_event = any(event.endswith(".updated") for event in events)
    unreported = freshness is Freshness.EVENTS and events and related.update and not has_update_event
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
        final_states=FINAL_STATES.get(name, ()),
        hints=tuple(HINTS.get(name, {}).items()),
        search_fields=SEARCH_FIELDS.get(name, ()) if related.search else (),
        substring_fields=SUBSTRING_FIELDS.get(name, ()) if related.search else (),
        search_path=related.search,
        events=events,
        freshness=freshness,
        events_of=EVENTS_OF.get(name, ""),
        newest_first=_newest_first(name, columns),
        paged="limit" in listing.shapes and (listing.is_version_2 or "starting_after" in listing.shapes),
        page_size=page_size(listing),
        id_prefix=ID_PREFIXES.get(name, ""),
        notes=(*NOTES.get(name, ()), *((NO_UPDATE_EVENT,) if unreported else ())),
        volatile=VOLATILE.get(name, ()),
        listed_days=LISTED_DAYS.get(name, 0),
    )


def build_preview(base: Resource, operation: Operation) -> Resource:
    """Build a table whose rows an operation computes: ``upcoming_invoice``."""
    preview = UPCOMING_INVOICE
    # A computed object is not stored, so no table has the full lists of which it embeds the first entries,
    # and it has no payments that could be expanded.
    base_columns = [replace(column, full_list_table="", expand="") for column in base.columns]
    columns = [*base_columns, *(column for column in preview.columns if column.name not in base.column)]
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
    """Return the ids in the path as parents, and the columns, with those added that the object lacks."""
    parents = []
    by_name = {column.name: column for column in columns}
    for position, parameter in enumerate(listing.ids):
        prefix = listing.shape_of_path.split("{}")[position].rstrip("/")
        resource = next((key for key, item in sdk.tables.items() if item.shape_of_path == prefix), "")
        column = _parent_column(parameter, resource, by_name)
        if column not in by_name:
            by_name[column] = Column(column, Kind.REFERENCE, (), False, (resource,) if resource else ())
        elif by_name[column].kind is Kind.TEXT and resource:
            by_name[column] = replace(by_name[column], kind=Kind.REFERENCE, references=(resource,))
        parents.append(Parent(parameter, column, resource))
    return parents, list(by_name.values())


def _parent_column(parameter: str, resource: str, columns: dict[str, Column]) -> str:
    if parameter not in columns and parameter.removesuffix("_id") in columns:
        return parameter.removesuffix("_id")
    holds_id = parameter not in columns or columns[parameter].kind in (Kind.REFERENCE, Kind.TEXT)
    if parameter != "id" and holds_id:
        return parameter
    for column in columns.values():
        if column.kind is Kind.REFERENCE and column.references == (resource,):
            return column.name
    return resource


def _with_references(name: str, columns: list[Column]) -> list[Column]:
    """Return the columns, with the texts that the overlay lists as ids made references."""
    return [
        replace(column, kind=Kind.REFERENCE, references=(REFERENCES[name, column.name],))
        if (name, column.name) in REFERENCES
        else column
        for column in columns
    ]


def _with_derived(name: str, columns: list[Column]) -> list[Column]:
    by_name = {column.name: column for column in columns}
    for column in DERIVED_COLUMNS.get(name, ()):
        by_name[column.name] = column
    return list(by_name.values())


def _ordered(columns: list[Column]) -> list[Column]:
    """Return the id first, then the columns in the SDK's order."""
    return sorted(columns, key=lambda column: column.name != "id")


def _newest_first(name: str, columns: list[Column]) -> bool:
    created = any(column.name == "created" and column.kind is Kind.TIME and column.path for column in columns)
    return created and name not in OTHER_ORDER


def _transitions(name: str, related: _Related) -> tuple[Transition, ...]:
    """Return the transitions of a table. Raises ValueError for an operation that it lacks."""
    operations = {item.name: item for item in (*related.others, related.delete) if item is not None}
    if related.update:
        operations["update"] = related.update
    entries = TRANSITIONS.get(name, ())
    missing = [entry.operation for entry in entries if entry.operation not in operations]
    if missing:
        raise ValueError(f"TRANSITIONS: {name} has no operation {', '.join(missing)}")
    return tuple(
        Transition(
            **{**vars(entry), "operation": operations[entry.operation], "ends_object": entry.ends_object},
            answers_object=(operations[entry.operation].path in related.answering_object),
        )
        for entry in entries
    )


def _write_paths(name: str, related: _Related, shapes: Shapes) -> Iterator[WritePath]:
    """Yield the write paths of a table. Raises ValueError for one that neither create nor update has."""
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
    """The operations on the rows of a list, by their role."""

    retrieve: Operation | None = None
    create: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    search: str = ""
    others: tuple[Operation, ...] = ()
    answering_object: frozenset[str] = frozenset()  # paths of the operations that answer with the object

    def object_parameters(self) -> frozenset[str]:
        """Return the names of the parameters that take an object, not an id."""
        operations = [item for item in (self.create, self.update) if item is not None]
        return frozenset(
            item.name for operation in operations for item in operation.parameters if item.kind is Kind.JSON
        )

    @classmethod
    def of(cls, listing: SdkOperation, sdk: Sdk, *, single: bool) -> _Related:
        base = listing.shape_of_path
        if not base:
            return cls()
        of_one = base if single else f"{base}/{{}}"
        roles = {("POST", base): "create", ("GET", of_one): "retrieve", ("POST", of_one): "update"}
        roles[("DELETE", of_one)] = "delete"
        tables = (*sdk.tables.values(), *(item.operation for item in sdk.unlisted.values()))
        other_lists = {item.shape_of_path for item in tables if item is not listing}
        by_role: dict[str, Operation] = {}
        others = []
        search = ""
        for item in sdk.operations:
            path = item.shape_of_path
            role = roles.get((item.method, path))
            if item.searched and path == f"{base}/search":
                search = item.path
            elif role:
                by_role[role] = sdk.shapes.operation(item)
            elif path.startswith(f"{base}/") and not item.is_list and not _inside(path, base, other_lists):
                others.append(sdk.shapes.operation(item))
        return cls(
            retrieve=by_role.get("retrieve"),
            create=by_role.get("create"),
            update=by_role.get("update"),
            delete=by_role.get("delete"),
            search=search,
            others=tuple(others),
            answering_object=frozenset(
                item.path
                for item in sdk.operations
                if item.method == "POST" and item.answered and set(item.answered) <= set(listing.listed)
            ),
        )


def _inside(path: str, base: str, other_lists: set[str]) -> bool:
    """Return True if an operation belongs to a list deeper in the path."""
    return any(
        len(other) > len(base) and (path == other or path.startswith(f"{other}/")) for other in other_lists
    )
