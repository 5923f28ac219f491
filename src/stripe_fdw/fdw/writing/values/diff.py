"""Differences of objects and lists as parameters.

An object is compared key by key, and so is what lies in it: keys that are gone or null are unset. What Stripe
replaces as a whole, such as an address, is sent as a whole. Metadata is replaced as a whole, like any list.

The rows of another table inside an object, such as the ``items`` of a subscription, are a list as well:
after ``SET items = …`` the subscription has exactly the items of the array. An element with the ``id`` of an
item, or without one but with its price, is that item, and only what differs is sent; any other element is a
new item; an item that the array no longer has is deleted, which after an empty array or NULL is each of them.
Where Stripe shows only the first of the items, such a change is refused. To change one item and leave the
others alone, change its row in ``subscription_item``, or give Stripe's own parameters in ``_params``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stripe_fdw import sqlstates
from stripe_fdw.catalog.model import Kind, Parameter, ParameterFields
from stripe_fdw.errors import ColumnError
from stripe_fdw.exact_json import Json
from stripe_fdw.fdw.writing.values.nested import (
    OMIT,
    UNSET,
    check_shape,
    encode,
    encode_element,
    encode_metadata,
    is_list_object,
    is_metadata,
    json_equal,
)
from stripe_fdw.fdw.writing.values.scalars import equals_scalar
from stripe_fdw.fdw.writing.values.unset import unset_value
from stripe_fdw.object_ids import id_or_value


def difference(name: str, old: Any, new: Any, parameter: Parameter | None = None) -> Any:
    """Return the parameter that changes the old value to the new one; OMIT where they are equal.

    Raises ColumnError for a value of the wrong kind, and where Stripe cannot unset what is gone.
    """
    if json_equal(old, new):
        return OMIT
    null_unsets = parameter is not None and parameter.null_unsets
    if is_metadata(name):
        return _diff_metadata(name, old, new, null_unsets=null_unsets)
    if null_unsets and new == []:
        return []
    if (new is None or new == []) and not is_list_object(old):
        return OMIT if old in (None, "", [], {}) else unset_value(name, old, parameter)
    if parameter is not None and parameter.kind is not Kind.JSON:
        encoded = encode(name, new, parameter)
        return OMIT if equals_scalar(parameter.kind, old, encoded) else encoded
    return _diff_structure(name, old, new, parameter)


def _diff_structure(name: str, old: Any, new: Any, parameter: Parameter | None) -> Any:
    check_shape(name, new, parameter)
    fields = parameter.fields if parameter else ()
    if is_list_object(old):
        # After items || '[…]' the list object is the first element of an array.
        parts = new if isinstance(new, list) else [new] if new is not None else []
        rows = [row for part in parts for row in (part["data"] if is_list_object(part) else [part])]
        return _diff_rows(name, old, rows, fields, whole=any(map(is_list_object, parts)))
    if isinstance(old, dict) and isinstance(new, dict):
        return _diff_object(name, old, new, fields, whole=parameter is not None and parameter.replaced_whole)
    encoded = encode(name, _without_response_fields(old, new, fields), parameter)
    return unset_value(name, old, parameter) if encoded is OMIT and old not in (None, "", [], {}) else encoded


def _without_response_fields(old: Any, new: Any, fields: ParameterFields) -> Any:
    """Return the new value without fields of the old response that Stripe does not take as parameters."""
    if isinstance(old, list) and isinstance(new, list):
        told = {key: value for item in old if isinstance(item, dict) for key, value in item.items()}
        return [_without_response_fields(told, item, fields) for item in new]
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    known = {field.name: field.fields for field in fields}
    return {
        key: _without_response_fields(old.get(key), value, known.get(key, ()))
        for key, value in new.items()
        if not known or key in known or key not in old or key == "object"
    }


def full_value(name: str, old: Any, new: Any, parameter: Parameter | None = None) -> Any:
    """Return the parameter for a whole value, even if it is the old one; OMIT for rows of another table.

    Raises ColumnError where Stripe cannot unset what is None.
    """
    if is_list_object(old) or is_list_object(new):
        return OMIT
    if is_metadata(name):
        after = {} if new is None else encode_metadata(name, new)
        return after if any(value != UNSET for value in after.values()) else UNSET
    if new is None or new == []:
        return unset_value(name, old, parameter)
    fields = parameter.fields if parameter else ()
    return encode(name, _without_response_fields(old, new, fields), parameter)


def _diff_object(name: str, old: Json, new: Json, fields: ParameterFields, *, whole: bool = False) -> Any:
    known = {field.name: field for field in fields}
    sent: Json = {}
    for key, value in new.items():
        before, inner = old.get(key), f"{name}[{key}]"
        if known and key not in known and json_equal(before, value):
            continue
        value_sent = difference(inner, before, value, known.get(key))
        if value_sent is not OMIT:
            sent[key] = value_sent
    for key, before in old.items():
        # What the object shows and Stripe does not accept cannot be unset.
        if key in new or before is None or (known and key not in known) or key == "object":
            continue
        value_sent = _removed_key(f"{name}[{key}]", before, known.get(key))
        if value_sent is not OMIT:
            sent[key] = value_sent
    if not sent:
        return OMIT
    beside = {
        field.name: encode(f"{name}[{field.name}]", new[field.name], field)
        for field in fields
        if (field.required or whole) and field.name not in sent and new.get(field.name) is not None
    }
    return beside | sent


def _removed_key(name: str, before: Any, parameter: Parameter | None) -> Any:
    if is_metadata(name):
        null_unsets = parameter is not None and parameter.null_unsets
        return _diff_metadata(name, before, {}, null_unsets=null_unsets)
    if parameter is not None and not parameter.unsettable and _is_blank(before):
        return OMIT
    return unset_value(name, before, parameter)


def _is_blank(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_blank, value.values()))
    return value is None or value is False or value in ("", [])


def _diff_metadata(name: str, old: Any, new: Any, *, null_unsets: bool) -> Any:
    """Return the changed keys of metadata, which is replaced as a whole: missing keys are unset."""
    before = old if isinstance(old, dict) else {}
    after = {} if new is None else encode_metadata(name, new)
    if not null_unsets and not any(value != UNSET for value in after.values()):
        return UNSET if before else OMIT
    sent = {key: value for key, value in after.items() if before.get(key, UNSET) != value}
    sent |= {key: UNSET for key in before if key not in after}
    return sent or OMIT


# -- rows of another table inside an object ----------------------------------------------------------------


def _diff_rows(name: str, old: Json, new: Sequence[Any], fields: ParameterFields, *, whole: bool) -> Any:
    before: list[Json] = [item for item in old.get("data") or () if isinstance(item, dict)]
    if old.get("has_more") and not whole:
        raise ColumnError(
            f'"{name}" has more objects than this row contains, so it cannot be replaced',
            hint="Change them one by one in their own table.",
            sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
        )
    known = {field.name: field for field in fields}
    left = {item["id"]: item for item in before if "id" in item}
    sent = []
    for at, (item, known_item) in enumerate(zip(new, _match_rows(new, left), strict=True)):
        where = f"{name}[{at}]"
        if known_item is None:
            sent.append(encode_element(where, item, fields))
            continue
        left.pop(known_item["id"])
        changes = _diff_object(where, _mentioned_keys(known_item, item), item, fields)
        if changes is not OMIT:
            _keep_reset_values(where, known_item, item, changes, fields)
        # Without "deleted" there is no other way to remove one than to leave it out, so all are named.
        if changes is not OMIT or (known and "deleted" not in known):
            sent.append({"id": known_item["id"]} | ({} if changes is OMIT else changes))
    if not known or "deleted" in known:
        sent += [{"id": identifier, "deleted": True} for identifier in left]
    return sent or (UNSET if left else OMIT)


def _keep_reset_values(name: str, old: Json, new: Json, sent: Json, fields: ParameterFields) -> None:
    """Add the values that Stripe would otherwise reset: with another price, the quantity.

    A value that the new element does not have, or has as null, is reset.
    """
    known = {field.name: field for field in fields}
    resets = dict(reset for key in sent if key in known for reset in known[key].resets)
    for reset, start in resets.items():
        value = new.get(reset, None if "object" in new else old.get(reset))
        if sent.get(reset) == UNSET:
            del sent[reset]
        elif reset not in sent and value is not None and str(value) != start:
            sent[reset] = encode(f"{name}[{reset}]", value, known.get(reset))


def _mentioned_keys(old: Json, new: Json) -> Json:
    """Return the keys of the old object that the new one has, unless the new one is a whole object.

    An element that is written by hand, such as ``{"id": "si_1", "quantity": 2}``, says what is to change.
    """
    return old if "object" in new else {key: value for key, value in old.items() if key in new}


def _match_rows(new: Sequence[Any], old: Mapping[str, Json]) -> list[Json | None]:
    """Return for each new element the old element that it continues: by id, else by its price."""
    matches: list[Json | None] = [
        old.get(item["id"]) if isinstance(item, dict) and isinstance(item.get("id"), str) else None
        for item in new
    ]
    taken = {item["id"] for item in matches if item is not None}
    for at, item in enumerate(new):
        if matches[at] is None and isinstance(item, dict) and "id" not in item and item.get("price"):
            price = id_or_value(item["price"])
            free = (
                one
                for one in old.values()
                if one["id"] not in taken and id_or_value(one.get("price")) == price
            )
            matches[at] = next(free, None)
            taken.update(match["id"] for match in (matches[at],) if match is not None)
    return matches
