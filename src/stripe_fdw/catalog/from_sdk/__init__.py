"""The build of the catalog from the installed SDK, run by ``python -m stripe_fdw.catalog build``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stripe_fdw.catalog.from_sdk.annotations import read_shape
from stripe_fdw.catalog.from_sdk.checks import check
from stripe_fdw.catalog.from_sdk.columns import References
from stripe_fdw.catalog.from_sdk.embedded import with_embedded_lists
from stripe_fdw.catalog.from_sdk.events import EventMap
from stripe_fdw.catalog.from_sdk.expansions import with_expansions
from stripe_fdw.catalog.from_sdk.names import table_names
from stripe_fdw.catalog.from_sdk.operations import SdkOperation, read_operations
from stripe_fdw.catalog.from_sdk.parameters import Shapes
from stripe_fdw.catalog.from_sdk.resources import Sdk, build_preview, build_resource, build_unlisted
from stripe_fdw.catalog.from_sdk.source import Source, sdk_root
from stripe_fdw.catalog.from_sdk.unlisted import (
    known_by_id,
    specified_operations,
    specified_resources,
    unlisted_tables,
    with_places_of_ids,
)
from stripe_fdw.catalog.from_sdk.version_2 import thin_events
from stripe_fdw.catalog.model import Catalog, Operation, ParameterFields, Resource
from stripe_fdw.catalog.overlay.tables import UPCOMING_INVOICE

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """The contents of the built files."""

    catalog: Catalog
    shapes: Mapping[str, ParameterFields]  # the fields of nested parameters, by name of their shape


def build() -> Built:
    """Read the installed SDK, in some seconds. Raises ValueError where the SDK and the overlay disagree."""
    source = Source(sdk_root())
    operations = _in_order(read_operations(source), specified_operations(source))
    first_version = [item for item in operations if not item.is_version_2]
    lists = [item for item in operations if item.is_list and not item.searched]
    listings = table_names(lists)
    events = event_types(source)
    shapes = Shapes()
    catalog_operations = [shapes.operation(item) for item in operations]
    unlisted = unlisted_tables(first_version, listings, source)
    specified = specified_resources()
    names = [*unlisted, *(item.name for item in specified)]
    references = References(_tables_of_objects(listings), known_by_id(unlisted, specified))
    event_map = EventMap(events, [*listings, *names])
    sdk = Sdk(operations, listings, unlisted, references, event_map, shapes)
    tables = listings | {name: item.operation for name, item in unlisted.items()}
    resources = [build_resource(name, listing, sdk) for name, listing in listings.items()]
    resources += [build_unlisted(name, item, sdk, resources) for name, item in unlisted.items()]
    resources = with_expansions(with_embedded_lists(resources, tables), tables)
    resources.append(_preview(resources, first_version, shapes))
    resources = with_places_of_ids([*resources, *specified])
    catalog = Catalog(
        api_version=source.constant("stripe._api_version", "CURRENT"),
        sdk_version=source.constant("stripe._version", "VERSION"),
        resources=tuple(sorted(resources, key=lambda item: item.name)),
        operations=_with_specified(catalog_operations, specified),
        event_types=events,
        thin_events=thin_events(source),
    )
    check(catalog, shapes.fields, tables, lists, source.object_names())
    return Built(catalog, shapes.fields)


def _in_order(operations: Iterable[SdkOperation], more: Iterable[SdkOperation]) -> list[SdkOperation]:
    return sorted((*operations, *more), key=lambda item: (item.path, item.method))


def _with_specified(operations: Iterable[Operation], specified: Iterable[Resource]) -> tuple[Operation, ...]:
    """Return all operations in order, with those of tables that are not in the SDK."""
    more = (item for table in specified for item in (table.retrieve, table.update) if item is not None)
    return tuple(sorted((*operations, *more), key=lambda item: (item.path, item.method)))


def event_types(source: Source) -> tuple[str, ...]:
    """Return every event type that a webhook endpoint can be sent."""
    parameters = source.find("stripe.params._webhook_endpoint_create_params", "WebhookEndpointCreateParams")
    if parameters is None:
        raise ValueError("the SDK has no WebhookEndpointCreateParams")
    shape = read_shape(parameters.members["enabled_events"].annotation, parameters)
    literals = shape.item.literals if shape.item else ()
    return tuple(sorted(value for value in literals if value != "*"))


def _tables_of_objects(listings: dict[str, SdkOperation]) -> dict[str, tuple[str, ...]]:
    """Return the tables of each API object, those that list it alone and at top level first."""
    ranked = sorted(listings.items(), key=lambda item: (len(item[1].listed), len(item[1].ids), item[0]))
    tables: dict[str, tuple[str, ...]] = {}
    for name, listing in ranked:
        for listed in listing.listed:
            tables[listed.object_name] = (*tables.get(listed.object_name, ()), name)
    return tables


def _preview(resources: list[Resource], operations: list[SdkOperation], shapes: Shapes) -> Resource:
    preview = UPCOMING_INVOICE
    base = next(item for item in resources if item.name == preview.base)
    operation = next(
        item for item in operations if item.name == preview.operation and item.path.startswith(base.list_path)
    )
    unknown = [item for item in preview.filters if item not in operation.shapes]
    if unknown:
        raise ValueError(f"{operation.path} takes no {', '.join(unknown)}")
    return build_preview(base, shapes.operation(operation))
