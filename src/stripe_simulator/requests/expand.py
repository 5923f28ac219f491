"""The expand parameter: ids are replaced by the objects that they name, and further fields are included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from stripe_simulator.errors import StripeError
from stripe_simulator.requests.included_fields import NOT_EXPANDABLE, included_value

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.world.account import Account

_MAX_DEPTH = 4  # of a path; `data` at the beginning, on a list, does not count


class Included(NamedTuple):
    """A field of an object that is no object of its own."""

    parent: dict[str, Any]
    field: str


def expand_paths(params: Params) -> list[list[str]]:
    """Return the paths to expand. Raises StripeError for a path that is too deep."""
    sent = params.get("expand")
    if sent is None:
        return []
    if not isinstance(sent, list) or not all(isinstance(path, str) and path for path in sent):
        raise StripeError("Invalid array", param="expand")
    paths = [path.split(".") for path in sent]
    for path in paths:
        if len(path) - (path[0] == "data") > _MAX_DEPTH:
            raise StripeError(
                f"You cannot expand more than {_MAX_DEPTH} levels of a property. Property: {'.'.join(path)}",
                code="property_expansion_max_depth",
                param="expand",
            )
    return paths


def expand_objects(account: Account, body: Any, paths: list[list[str]]) -> None:
    """Expand an object or a list in place. Raises StripeError for what cannot be expanded."""
    for path in paths:
        if not _expand_path(account, body, path, in_list=path[0] == "data"):
            wanted = path[0]  # all that the error names of the path
            hint = ""
            if isinstance(body, dict) and isinstance(body.get("data"), list) and path[0] != "data":
                hint = f" You may want to try expanding 'data.{wanted}' instead."
            raise StripeError(f"This property cannot be expanded ({wanted}).{hint}", param="expand")


def _expand_path(
    account: Account, value: Any, path: list[str], *, in_list: bool, above: Included | None = None
) -> bool:
    """Expand one path; return False if it names a property that cannot be expanded.

    `above` is the object in whose field the value lies.
    """
    if isinstance(value, list):
        results = [_expand_path(account, item, path, in_list=in_list) for item in value]
        return all(results)
    if not isinstance(value, dict):
        return True
    step, *rest = path
    if step in value:
        below = value[step] = _with_objects(account, value[step])
        if isinstance(below, str) or (isinstance(below, list) and any(isinstance(i, str) for i in below)):
            return False
    else:
        parent, name = (value, step) if above is None else (above.parent, f"{above.field}.{step}")
        below = included_value(account, parent, name, in_list=in_list)
        if below is NOT_EXPANDABLE:
            return False
        value[step] = below
    if not rest or below is None:
        return True
    is_part = isinstance(below, dict) and "object" not in below and "object" in value
    return _expand_path(
        account, below, rest, in_list=in_list, above=Included(value, step) if is_part else None
    )


def _with_objects(account: Account, value: Any) -> Any:
    """Return the object that an id names, or those of a list of ids; ids that name none stay."""
    if isinstance(value, str):
        return _object(account, value) or value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [_object(account, item) or item for item in value]
    return value


def _object(account: Account, identifier: str) -> Any:
    """Return a copy of the object with this id; None where there is none."""
    if identifier in account.discounts:
        return dict(account.discounts[identifier])
    location = account.locate(identifier)
    if location is None:
        return None
    collection, position = location
    if collection.is_deleted(position):
        return {"id": identifier, "object": collection.resource.object, "deleted": True}
    return orjson.loads(collection.body(position))
