"""The tables of objects that Stripe does not list: which there are, and the requests that have them.

1. An operation that retrieves one object, of a kind that has no table of its name, makes a table. Its path
   ends with the object's id (``/v1/mandates/{mandate}``), or it needs none: the object is the only one of
   the account (``/v1/balance``) or of another object (``/v1/customers/{customer}/cash_balance``).
2. The overlay has objects that lie inside others, and those that the SDK has no operation for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec.structs

from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.from_sdk.source import Class, Source
from stripe_fdw.catalog.model import Holder, Kind, Operation, Parameter, Resource
from stripe_fdw.catalog.overlay.tables import ID_PREFIXES, NOTES
from stripe_fdw.catalog.overlay.unlisted import (
    HELD_OBJECTS,
    IDS_IN,
    SINGLE_NAMES,
    SPECIFIED_OBJECTS,
    WRAPPED_LISTS,
    SpecifiedObject,
)

_LAST_ID = re.compile(r"/\{\w+\}$")


@dataclass(frozen=True)
class Unlisted:
    """A table without a list, as the operation that would list it: the path without the object's own id."""

    operation: SdkOperation
    single: bool = False  # the operation answers with the one object
    wraps: str = ""
    defaults: tuple[tuple[str, str], ...] = ()
    holders: tuple[Holder, ...] = ()


def unlisted_tables(
    operations: Iterable[SdkOperation], listings: dict[str, SdkOperation], source: Source
) -> dict[str, Unlisted]:
    """Return the tables of objects without a list by name. Raises ValueError for an entry that fits nothing.

    Args:
        operations: of the API's first version.
        listings: the tables of lists.
        source: the SDK.
    """
    operations = list(operations)
    tables: dict[str, Unlisted] = {}
    for item in operations:
        if item.method != "GET" or item.is_list or item.searched or len(item.answered) != 1:
            continue
        name = SINGLE_NAMES.get(item.path) or item.answered[0].object_name.replace(".", "_")
        if name in listings:
            continue
        if name in tables:
            raise ValueError(f"{item.path} and {tables[name].operation.path} would both be the table {name}")
        tables[name] = _retrieved(item)
    for name, wrapped in WRAPPED_LISTS.items():
        listing = next(item for item in operations if item.path == wrapped.list_path and item.is_list)
        summary = replace(listing, listed=(_class(source, wrapped.module, wrapped.class_name),))
        tables[name] = Unlisted(summary, True, wrapped.column, wrapped.defaults)
    for name, held in HELD_OBJECTS.items():
        answer = _class(source, held.module, held.class_name)
        nowhere = SdkOperation("", "GET", "", answer, None, False, (answer,), False)
        tables[name] = Unlisted(nowhere, holders=held.holders)
    return tables


def specified_operations(source: Source) -> Iterator[SdkOperation]:
    """Yield the operations that retrieve objects of which the SDK has the class, but no operation."""
    for entry in SPECIFIED_OBJECTS.values():
        if entry.module:
            answer = _class(source, entry.module, entry.class_name)
            yield SdkOperation(
                "retrieve", "GET", entry.retrieve, answer, None, False, (), False, answered=(answer,)
            )


def known_by_id(unlisted: dict[str, Unlisted], specified: Iterable[Resource]) -> list[str]:
    """Return the names of the tables whose objects are retrieved by their id."""
    retrieved = [name for name, item in unlisted.items() if not item.single and not item.holders]
    return [*retrieved, *(item.name for item in specified)]


def specified_resources() -> list[Resource]:
    """Return the tables of objects that are not in the SDK."""
    return [_specified(name, entry) for name, entry in SPECIFIED_OBJECTS.items() if entry.columns]


def with_places_of_ids(resources: Iterable[Resource]) -> list[Resource]:
    """Return the resources, with the columns in which ids lie set on those whose objects are in no list."""
    resources = list(resources)
    return [
        msgspec.structs.replace(item, ids_in=(*_referring(item, resources), *IDS_IN.get(item.name, ())))
        if not item.is_listed and not item.preview and not item.single and not item.holders
        else item
        for item in resources
    ]


def _referring(unlisted: Resource, resources: list[Resource]) -> Iterator[str]:
    for item in resources:
        for column in item.columns:
            if unlisted.name in column.references and column.path and item.name != unlisted.name:
                yield f"{item.name}.{column.name}"


def _retrieved(item: SdkOperation) -> Unlisted:
    if _LAST_ID.search(item.path) is None:
        return Unlisted(replace(item, listed=item.answered), single=True)
    return Unlisted(replace(item, path=_LAST_ID.sub("", item.path), parameters=None, listed=item.answered))


def _class(source: Source, module: str, name: str) -> Class:
    found = source.find(module, name)
    if found is None:
        raise ValueError(f"the SDK has no class {module}.{name}")
    return found


def _specified(name: str, entry: SpecifiedObject) -> Resource:
    retrieve = Operation("retrieve", "GET", entry.retrieve, (_EXPAND,))
    update = Operation("update", "POST", entry.retrieve, (_EXPAND, _METADATA)) if entry.update else None
    return Resource(
        name,
        entry.object,
        entry.area,
        "",
        entry.columns,
        retrieve=retrieve,
        update=update,
        paged=False,
        id_prefix=ID_PREFIXES.get(name, ""),
        notes=NOTES.get(name, ()),
    )


_EXPAND = Parameter("expand", Kind.JSON, is_list=True)
_METADATA = Parameter("metadata", Kind.JSON, unsettable=True)
