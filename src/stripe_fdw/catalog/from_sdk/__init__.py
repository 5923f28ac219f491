"""The build of the catalog from the installed SDK, run by ``python -m stripe_fdw.catalog build``."""

from __future__ import annotations

from collections.abc import Mapping
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
from stripe_fdw.catalog.from_sdk.resources import Sdk, build_preview, build_resource
from stripe_fdw.catalog.from_sdk.source import Source, sdk_root
from stripe_fdw.catalog.model import Catalog, ParameterFields, Resource
from stripe_fdw.catalog.overlay.tables import UPCOMING_INVOICE, VERSION_WITHOUT_TABLES

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """The contents of the built files."""

    catalog: Catalog
    shapes: Mapping[str, ParameterFields]  # the fields of nested parameters, by name of their shape


def build() -> Built:
    """Read the installed SDK, in some seconds. Raises ValueError where the SDK and the overlay disagree."""
    source = Source(sdk_root())
    operations = read_operations(source)
    first_version = [item for item in operations if not item.path.startswith(VERSION_WITHOUT_TABLES)]
    lists = [item for item in first_version if item.is_list and not item.searched]
    listings = table_names(lists)
    events = event_types(source)
    shapes = Shapes()
    catalog_operations = tuple(shapes.operation(item) for item in operations)
    references = References(_tables_of_objects(listings))
    sdk = Sdk(first_version, listings, references, EventMap(events, listings), shapes)
    resources = with_embedded_lists(
        (build_resource(name, listing, sdk) for name, listing in listings.items()), listings
    )
    resources = with_expansions(resources, listings)
    resources.append(_preview(resources, first_version, shapes))
    catalog = Catalog(
        api_version=source.constant("stripe._api_version", "CURRENT"),
        sdk_version=source.constant("stripe._version", "VERSION"),
        resources=tuple(sorted(resources, key=lambda item: item.name)),
        operations=catalog_operations,
        event_types=events,
    )
    check(catalog, shapes.fields, listings, lists)
    return Built(catalog, shapes.fields)


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
