"""Fields that Stripe sends only where a request expands them: stored, and hidden when their object is shown.

The catalog knows which they are (``Column.expand``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog import load

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Column

_NONE: Mapping[str, Column] = {}


@cache
def _columns_by_path() -> Mapping[str, Mapping[str, Column]]:
    columns: dict[str, dict[str, Column]] = {}
    for resource in load().resources:
        for column in resource.columns:
            if column.expand:
                columns.setdefault(resource.object, {})[column.expand] = column
    return columns


def hidden_fields(object_name: object) -> Mapping[str, Column]:
    """Return the columns of an object that have to be expanded, by the path to expand."""
    return _columns_by_path().get(str(object_name), _NONE)


def without_hidden_fields(value: Any) -> Any:
    """Return a value as it is shown: its objects without what has to be expanded. It is not changed."""
    if isinstance(value, list):
        shown = [without_hidden_fields(item) for item in value]
        return shown if any(new is not old for new, old in zip(shown, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    result = value
    for name, below in value.items():
        shown_below = without_hidden_fields(below)
        if shown_below is not below:
            result = {**result, name: shown_below}
    for path in hidden_fields(value.get("object")):
        result = _without(result, path.split("."))
    return result


def _without(value: Any, path: list[str]) -> Any:
    name, *rest = path
    if not isinstance(value, dict) or name not in value:
        return value
    if not rest:
        return {key: item for key, item in value.items() if key != name}
    below = _without(value[name], rest)
    return value if below is value[name] else {**value, name: below}
