"""Builds the catalog from the installed SDK: ``python -m stripe_fdw.catalog build``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stripe_fdw.catalog.from_sdk.annotations import read_shape
from stripe_fdw.catalog.from_sdk.checks import check
from stripe_fdw.catalog.from_sdk.columns import References
from stripe_fdw.catalog.from_sdk.embedded import with_embedded_lists
from stripe_fdw.catalog.from_sdk.events import EventMap
from stripe_fdw.catalog.from_sdk.names import table_names
from stripe_fdw.catalog.from_sdk.operations import SdkOperation, read_operations
from stripe_fdw.catalog.from_sdk.parameters import Fields, Shapes
from stripe_fdw.catalog.from_sdk.resources import Sdk, build_preview, build_resource
from stripe_fdw.catalog.from_sdk.source import Source, sdk_root
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.catalog.overlay.tables import UPCOMING_INVOICE, VERSION_WITHOUT_TABLES

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """All that the built files hold."""

    catalog: Catalog
    shapes: Mapping[str, Fields]  # what each nested parameter takes


def build() -> Built:
    """Read the installed SDK, in some seconds. Raises ValueError where the SDK and the overlay disagree."""
    source = Source(sdk_root())
    operations = read_operations(source)
    first_version = [item for item in operations if not item.path.startswith(VERSION_WITHOUT_TABLES)]
    lists = [item for item in first_version if item.is_list and not item.searched]
    listings = table_names(lists)
    events = event_types(source)
    shapes = Shapes()
    made = tuple(shapes.operation(item) for item in operations)
    references = References(_tables_of_objects(listings))
    sdk = Sdk(first_version, listings, references, EventMap(events, listings), shapes)
    resources = with_embedded_lists(
        (build_resource(name, listing, sdk) for name, listing in listings.items()), listings
    )
    resources.append(_preview(resources, first_version, shapes))
    catalog = Catalog(
        api_version=source.constant("stripe._api_version", "CURRENT"),
        sdk_version=source.constant("stripe._version", "VERSION"),
        resources=tuple(sorted(resources, key=lambda item: item.name)),
        operations=made,
        event_types=events,
    )
    check(catalog, shapes.fields, listings, lists)
    return Built(catalog, shapes.fields)


def event_types(source: Source) -> tuple[str, ...]:
    """Every event type that a webhook endpoint can be told of."""
    found = source.find("stripe.params._webhook_endpoint_create_params", "WebhookEndpointCreateParams")
    if found is None:
        raise ValueError("the SDK has no WebhookEndpointCreateParams")
    shape = read_shape(found.members["enabled_events"].annotation, found)
    literals = shape.item.literals if shape.item else ()
    return tuple(sorted(value for value in literals if value != "*"))


def _tables_of_objects(listings: dict[str, SdkOperation]) -> dict[str, tuple[str, ...]]:
    """The tables of each API object, those that list it alone and at top level first."""
    ranked = sorted(listings.items(), key=lambda item: (len(item[1].listed), len(item[1].ids), item[0]))
    found: dict[str, tuple[str, ...]] = {}
    for name, listing in ranked:
        for kind in listing.listed:
            found[kind.object_name] = (*found.get(kind.object_name, ()), name)
    return found


def _preview(resources: list[Resource], operations: list[SdkOperation], shapes: Shapes) -> Resource:
    preview = UPCOMING_INVOICE
    base = next(item for item in resources if item.name == preview.base)
    operation = next(
        item for item in operations if item.name == preview.operation and item.path.startswith(base.list_path)
    )
    made = build_preview(base, shapes.operation(operation))
    unknown = [item for item in preview.filters if item not in operation.shapes]
    if unknown:
        raise ValueError(f"{operation.path} takes no {', '.join(unknown)}")
    return replace(made, area=base.area)
