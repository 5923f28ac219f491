"""Objects and lists as nested parameters of a request, and what of them a change has to send.

What is made here is a tree of dicts, lists and single values, in which "" unsets. ``Request.of`` flattens it.

A list is replaced as a whole, as SQL says. The rows of another table inside an object, such as the ``items``
of a subscription, are a list as well: after ``SET items = …`` the subscription has exactly the items of the
array. An element with the ``id`` of an item, or without one but with its price, is that item, and only what
differs is sent; any other element is a new item; an item that the array no longer has is deleted. To change
one item and leave the others alone, change its row in ``subscription_item``, or say it in ``_params``, which
is Stripe's own word for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from stripe_fdw.catalog.model import Kind, Parameter
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.sent import WRONG_VALUE, identity, number_text, same, shown, single, unfit

Json = dict[str, Any]
Fields = tuple[Parameter, ...]
UNSET: Final = ""
_NOT_NULL: Final = "23502"  # not_null_violation
METADATA: Final = "metadata"


class _Nothing(Enum):
    """Nothing is to be sent."""

    NOTHING = 0


NOTHING: Final = _Nothing.NOTHING


# -- a value for itself: creation, and the elements of lists ----------------------------------------------


def encode(name: str, value: Any, parameter: Parameter | None = None) -> Any:
    """The parameter for a value that is not None: nulls left out, Stripe's objects as ids, times as epochs.

    NOTHING for an empty object or list. Raises ColumnError where a value is not of the kind that Stripe's
    parameter has.
    """
    if parameter is not None and parameter.kind is not Kind.JSON:
        return single(name, parameter.kind, identity(value), words=parameter.values)
    return _structured(name, value, parameter.fields if parameter else ())


def _structured(name: str, value: Any, fields: Fields) -> Any:
    if is_metadata(name):
        return {key: found for key, found in _texts(name, value).items() if found != UNSET} or NOTHING
    if _is_list_object(value):
        value = value["data"]
    if isinstance(value, list):
        return [_element(f"{name}[{at}]", item, fields) for at, item in enumerate(value)] or NOTHING
    return _object(name, value, fields) if isinstance(value, dict) else plain(value)


def _object(name: str, value: Json, fields: Fields) -> Any:
    known = {field.name: field for field in fields}
    if _is_object(value) and "id" not in known:
        return value["id"]
    kept = _writable(value, known) if "object" in value else value
    # A plan is a price by its older name: Stripe's objects have both, its parameters take one.
    double = "plan" if kept.get("price") and kept.get("plan") else None
    made = {
        key: encode(f"{name}[{key}]", item, known.get(key))
        for key, item in kept.items()
        if item is not None and key != double
    }
    return {key: item for key, item in made.items() if item is not NOTHING} or NOTHING


def _element(name: str, item: Any, fields: Fields) -> Any:
    known = {field.name: field for field in fields}
    if isinstance(item, str) and "discount" in known:
        # A list of discounts comes as ids and is written as objects.
        return {_discount_parameter(item): item}
    if item is None:
        raise ColumnError(f'"{name}" is null: Stripe\'s lists have no empty places', sqlstate=WRONG_VALUE)
    return _structured(name, item, fields)


def _discount_parameter(identifier: str) -> str:
    if identifier.startswith("di_"):
        return "discount"
    return "promotion_code" if identifier.startswith("promo_") else "coupon"


def _writable(value: Json, known: Mapping[str, Parameter]) -> Json:
    """What of one of Stripe's own objects can be written."""
    if not known:
        return {key: item for key, item in value.items() if key not in ("object", "livemode", "created")}
    return {key: item for key, item in value.items() if key in known}


def is_metadata(name: str) -> bool:
    """Whether a parameter of this name, such as ``items[0][metadata]``, holds keys that users choose."""
    return name.rpartition("[")[2].rstrip("]") == METADATA


def plain(value: Any) -> Any:
    """A value of JSON in a parameter of which nothing is known; null and an empty list unset."""
    if value is None or value == []:
        return UNSET
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return number_text(Decimal(str(value))) if isinstance(value, float) else value


# -- a change ----------------------------------------------------------------------------------------------


def difference(name: str, old: Any, new: Any, parameter: Parameter | None = None) -> Any:
    """What has to be sent so that the old value becomes the new one; NOTHING where they are the same.

    Raises ColumnError for a value of the wrong kind, and where Stripe cannot unset what is gone.
    """
    if alike(old, new):
        return NOTHING
    if is_metadata(name):
        return _metadata(name, old, new)
    if new is None or new == []:
        return NOTHING if old in (None, "", [], {}) else unset(name, old, parameter)
    if parameter is not None and parameter.kind is not Kind.JSON:
        found = encode(name, new, parameter)
        return NOTHING if same(parameter.kind, old, found) else found
    return _structure(name, old, new, parameter)


def _structure(name: str, old: Any, new: Any, parameter: Parameter | None) -> Any:
    fields = parameter.fields if parameter else ()
    if _is_list_object(old):
        rows = new["data"] if _is_list_object(new) else new
        if not isinstance(rows, list):
            raise unfit(name, new, "an array of objects")
        return _rows(name, old, rows, fields, whole=_is_list_object(new))
    if isinstance(old, dict) and isinstance(new, dict):
        return _changed(name, old, new, fields)
    return encode(name, _without_answers(old, new, fields), parameter)


def _without_answers(old: Any, new: Any, fields: Fields) -> Any:
    """The new list without what the old one's elements tell and Stripe does not take."""
    if isinstance(old, list) and isinstance(new, list):
        told = {key: value for item in old if isinstance(item, dict) for key, value in item.items()}
        return [_without_answers(told, item, fields) for item in new]
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    known = {field.name: field.fields for field in fields}
    return {
        key: _without_answers(old.get(key), value, known.get(key, ()))
        for key, value in new.items()
        if not known or key in known or key not in old or key == "object"
    }


def unset(name: str, old: Any, parameter: Parameter | None) -> Any:
    """What clears a value: the empty text, unless Stripe is known not to take it.

    Stripe takes the empty text for texts in general, whether its types say so or not; for other values only
    where they do.
    """
    if parameter is None or parameter.unsettable or isinstance(old, list):
        return UNSET
    if parameter.kind is not Kind.TEXT or parameter.values:
        hint = "Set it to another value." if not isinstance(old, dict) else "Set its keys to null one by one."
        if "[" in name:
            column = name.partition("[")[0]
            hint = f"Keep what the object has: {column} || '…', or jsonb_set({column}, …)."
        raise ColumnError(f'"{name}" cannot be unset in Stripe', hint=hint, sqlstate=_NOT_NULL)
    return UNSET


def _changed(name: str, old: Json, new: Json, fields: Fields) -> Any:
    known = {field.name: field for field in fields}
    sent: Json = {}
    for key, value in new.items():
        before, inner = old.get(key), f"{name}[{key}]"
        if known and key not in known and alike(before, value):
            continue
        found = difference(inner, before, value, known.get(key))
        if found is not NOTHING:
            sent[key] = found
    for key, before in old.items():
        # What the object tells and Stripe does not take is not for us to remove.
        if key in new or before is None or (known and key not in known) or key == "object":
            continue
        found = _gone(f"{name}[{key}]", before, known.get(key))
        if found is not NOTHING:
            sent[key] = found
    if not sent:
        return NOTHING
    beside = {
        field.name: encode(f"{name}[{field.name}]", new[field.name], field)
        for field in fields
        if field.required and field.name not in sent and new.get(field.name) is not None
    }
    return beside | sent


def _gone(name: str, before: Any, parameter: Parameter | None) -> Any:
    if is_metadata(name):
        return _metadata(name, before, {})
    if parameter is not None and not parameter.unsettable and _says_nothing(before):
        return NOTHING
    return unset(name, before, parameter)


def _says_nothing(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_says_nothing, value.values()))
    return value is None or value is False or value in ("", [])


def _metadata(name: str, old: Any, new: Any) -> Any:
    """Replaced as a whole: keys that are no longer there are unset."""
    before = old if isinstance(old, dict) else {}
    texts = {} if new is None else _texts(name, new)
    if not any(value != UNSET for value in texts.values()):
        return UNSET if before else NOTHING
    sent = {key: value for key, value in texts.items() if before.get(key, UNSET) != value}
    sent |= {key: UNSET for key in before if key not in texts}
    return sent or NOTHING


def _texts(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise unfit(name, value, "an object of texts")
    for key, item in value.items():
        if isinstance(item, dict | list):
            raise unfit(f"{name}[{key}]", item, "a text: metadata holds no objects or lists")
        if "[" in key or "]" in key or not key:
            raise ColumnError(
                f'"{name}" cannot have the key {shown(key)}',
                hint="A key has no brackets.",
                sqlstate=WRONG_VALUE,
            )
    return {key: UNSET if item is None else _text(item) for key, item in value.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(plain(value))


# -- rows of another table inside an object ----------------------------------------------------------------


def _rows(name: str, old: Json, new: Sequence[Any], fields: Fields, *, whole: bool) -> Any:
    before: list[Json] = [item for item in old.get("data") or () if isinstance(item, dict)]
    if old.get("has_more") and not whole:
        raise ColumnError(
            f'"{name}" has more objects than are shown here, so it cannot be replaced',
            hint="Change them one by one in their own table.",
            sqlstate="0A000",  # feature_not_supported
        )
    known = {field.name: field for field in fields}
    left = {item["id"]: item for item in before if "id" in item}
    sent = []
    for at, (item, known_item) in enumerate(zip(new, _matched(new, left), strict=True)):
        where = f"{name}[{at}]"
        if known_item is None:
            sent.append(_element(where, item, fields))
            continue
        left.pop(known_item["id"])
        found = _changed(where, _shown(known_item, item), item, fields)
        # Without "deleted" there is no other way to remove one than to leave it out, so all are named.
        if found is not NOTHING or (known and "deleted" not in known):
            sent.append({"id": known_item["id"]} | ({} if found is NOTHING else found))
    if not known or "deleted" in known:
        sent += [{"id": identifier, "deleted": True} for identifier in left]
    return sent or NOTHING


def _shown(old: Json, new: Json) -> Json:
    """Of the old object what the new one speaks of too, where that is not the whole object.

    An element that is written by hand, such as ``{"id": "si_1", "quantity": 2}``, says what is to change.
    """
    return old if "object" in new else {key: value for key, value in old.items() if key in new}


def _matched(new: Sequence[Any], old: Mapping[str, Json]) -> list[Json | None]:
    """For each new element the old one that it is: by id, else by its price."""
    found: list[Json | None] = [
        old.get(item["id"]) if isinstance(item, dict) and isinstance(item.get("id"), str) else None
        for item in new
    ]
    taken = {item["id"] for item in found if item is not None}
    for at, item in enumerate(new):
        if found[at] is None and isinstance(item, dict) and "id" not in item and item.get("price"):
            price = identity(item["price"])
            free = (
                one for one in old.values() if one["id"] not in taken and identity(one.get("price")) == price
            )
            found[at] = next(free, None)
            taken.update(one["id"] for one in (found[at],) if one is not None)
    return found


# -- what JSON values are ----------------------------------------------------------------------------------


def alike(old: Any, new: Any) -> bool:
    """Whether two values say the same: null is a missing key, and an object is its id."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, dict) and isinstance(new, dict):
        if _is_list_object(old) != _is_list_object(new):
            return False
        return all(alike(old.get(key), new.get(key)) for key in old.keys() | new.keys())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(alike, old, new))
    if _is_object(old) or _is_object(new):
        return bool(identity(old) == identity(new))
    return bool(old == new)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str) and "object" in value


def _is_list_object(value: Any) -> bool:
    return isinstance(value, dict) and value.get("object") == "list" and isinstance(value.get("data"), list)
