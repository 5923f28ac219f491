"""Facts of the lists under /v2: the size of their pages, and the events that one of them has."""

from __future__ import annotations

import ast
import re

from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.from_sdk.source import Class, Source
from stripe_fdw.catalog.model import ThinEvent

_MAXIMUM = re.compile(r"\bmaximum is (\d+)\b", re.IGNORECASE)
# Accounts refuse more. Of the other lists the SDK names one maximum; without one this is the most that is
# known to be accepted.
_SMALLEST_MAXIMUM = 20
_OF_VERSION_1 = 100


def page_size(listing: SdkOperation) -> int:
    """Return the most objects that a page of the list may have, as far as it is known."""
    if not listing.is_version_2:
        return _OF_VERSION_1
    limit = listing.parameters.members["limit"] if listing.parameters else None
    stated = _MAXIMUM.search(limit.description) if limit else None
    return int(stated[1]) if stated else _SMALLEST_MAXIMUM


def thin_events(source: Source) -> tuple[ThinEvent, ...]:
    """Return all types of thin events, ordered by type."""
    events = {}
    for file in sorted((source.root / "events").glob("_v*_event.py")):
        module = source.module(f"stripe.events.{file.stem}")
        assert module is not None
        for item in module.classes.values():
            type_ = _constant(item, "LOOKUP_TYPE")
            if type_ and item.name.endswith("Notification"):
                events[type_] = ThinEvent(type_, _related_object(item))
    return tuple(events[type_] for type_ in sorted(events))


def _constant(item: Class, name: str) -> str:
    for statement in item.node.body:
        if (
            isinstance(statement, ast.Assign)
            and ast.unparse(statement.targets[0]) == name
            and isinstance(statement.value, ast.Constant)
        ):
            return str(statement.value.value)
    return ""


def _related_object(item: Class) -> str:
    """Return the name of the object that the event's method fetches; "" where it has no such method."""
    for node in item.node.body:
        if (
            isinstance(node, ast.FunctionDef)
            and node.name == "fetch_related_object"
            and isinstance(node.returns, ast.Constant)
        ):
            related = item.module.resolve(str(node.returns.value))
            return related.object_name if related else ""
    return ""
