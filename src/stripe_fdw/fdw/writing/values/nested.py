"""Objects and lists as nested parameters of a request.

The result is a tree of dicts, lists and single values, in which UNSET unsets. ``Request.of`` flattens it.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any, Final

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import Kind, Parameter, ParameterFields
from stripe_fdw.errors import ColumnError
from stripe_fdw.exact_json import Json
from stripe_fdw.fdw.writing.values.scalars import encode_scalar, value_error, value_text
from stripe_fdw.object_ids import id_or_value


class _Unset(str):
    """The type of UNSET: an empty text that differs from one that a user gave."""

    __slots__ = ()


UNSET: Final = _Unset("")
METADATA: Final = "metadata"


class _Omit(Enum):
    """The type of OMIT: no parameter is sent."""

    OMIT = 0


OMIT: Final = _Omit.OMIT


def encode(name: str, value: Any, parameter: Parameter | None = None) -> Any:
    """Return the parameter for a value that is not None.

    Nulls are left out, Stripe's objects become ids and times become epochs. OMIT for an empty object or list.
    Raises ColumnError where a value is not of the kind that Stripe's parameter has.
    """
    if parameter is not None and parameter.kind is not Kind.JSON:
        return encode_scalar(name, parameter.kind, id_or_value(value), keywords=parameter.values)
    check_shape(name, value, parameter)
    return _structured(name, value, parameter.fields if parameter else ())


def check_shape(name: str, value: Any, parameter: Parameter | None) -> None:
    """Raise ColumnError for an object where Stripe takes a list, or the other way round."""
    if parameter is None or is_list_object(value):
        return
    if parameter.is_list and isinstance(value, dict):
        raise value_error(name, value, "an array")
    if parameter.shape and not parameter.is_list and isinstance(value, list):
        raise value_error(name, value, "an object")


def _structured(name: str, value: Any, fields: ParameterFields) -> Any:
    if is_metadata(name):
        return {key: text for key, text in encode_metadata(name, value).items() if text != UNSET} or OMIT
    if is_list_object(value):
        value = value["data"]
    if isinstance(value, list):
        return [encode_element(f"{name}[{at}]", item, fields) for at, item in enumerate(value)] or OMIT
    return _object(name, value, fields) if isinstance(value, dict) else encode_untyped(value)


def _object(name: str, value: Json, fields: ParameterFields) -> Any:
    known = {field.name: field for field in fields}
    if is_stripe_object(value) and not known:
        return value["id"]
    # Of its own objects, Stripe does not take fields that are no parameters.
    kept = {key: item for key, item in value.items() if key in known} if is_stripe_object(value) else value
    # A plan is a price by its older name: Stripe's objects have both, its parameters take one.
    double = "plan" if kept.get("price") and kept.get("plan") else None
    encoded = {
        key: encode(f"{name}[{key}]", item, known.get(key))
        for key, item in kept.items()
        if item is not None and key != double
    }
    return {key: item for key, item in encoded.items() if item is not OMIT} or OMIT


def encode_element(name: str, item: Any, fields: ParameterFields) -> Any:
    """Return the parameter for one element of a list."""
    if any(field.name == "discount" for field in fields):
        # A list of discounts comes as ids, or expanded, and is written as objects.
        item = id_or_value(item) if is_stripe_object(item) else item
        if isinstance(item, str):
            return {_discount_parameter(item): item}
    if item is None:
        raise ColumnError(
            f'"{name}" is null: lists in Stripe cannot contain null',
            sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
        )
    return _structured(name, item, fields)


def _discount_parameter(identifier: str) -> str:
    if identifier.startswith("di_"):
        return "discount"
    return "promotion_code" if identifier.startswith("promo_") else "coupon"


def is_metadata(name: str) -> bool:
    """Return True if a parameter of this name, such as ``items[0][metadata]``, is metadata."""
    return name.rpartition("[")[2].rstrip("]") == METADATA


def encode_untyped(value: Any) -> Any:
    """Return a JSON value as a parameter that the catalog does not have.

    Null, an empty list and empty metadata unset. Any other empty object sends nothing.
    """
    if value is None or value == []:
        return UNSET
    if isinstance(value, dict):
        return {
            key: UNSET if key == METADATA and item == {} else encode_untyped(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [encode_untyped(item) for item in value]
    if isinstance(value, Decimal):
        return exact_json.format_decimal(value)
    return (
        exact_json.format_decimal(Decimal(str(value)), trim_zeros=True) if isinstance(value, float) else value
    )


def with_nulls(value: Any) -> Any:
    """Return a tree of parameters as version 2 of the API takes it: with null in place of UNSET."""
    if isinstance(value, dict):
        return {key: with_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_nulls(item) for item in value]
    return None if value is UNSET else value


def encode_metadata(name: str, value: Any) -> dict[str, str]:
    """Return metadata as Stripe takes it, null as "". Raises ColumnError for values it cannot hold."""
    if not isinstance(value, dict):
        raise value_error(name, value, "an object of texts")
    for key, item in value.items():
        if isinstance(item, dict | list):
            raise value_error(f"{name}[{key}]", item, "a text: metadata holds no objects or lists")
        if "[" in key or "]" in key or not key:
            raise ColumnError(
                f'"{name}" cannot have the key {value_text(key)}',
                hint="A key has no brackets.",
                sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
            )
    return {key: UNSET if item is None else _text(item) for key, item in value.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(encode_untyped(value))


# -- what JSON values are ----------------------------------------------------------------------------------


def json_equal(old: Any, new: Any) -> bool:
    """Return True if two values are equal where null is a missing key, and an object is its id."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, dict) and isinstance(new, dict):
        if is_list_object(old) != is_list_object(new):
            return False
        return all(json_equal(old.get(key), new.get(key)) for key in old.keys() | new.keys())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(json_equal, old, new))
    if is_stripe_object(old) or is_stripe_object(new):
        return bool(id_or_value(old) == id_or_value(new))
    return bool(_number(old) == _number(new))


def _number(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


def is_stripe_object(value: Any) -> bool:
    """Return True if it is one of Stripe's own objects, with an id."""
    return isinstance(value, dict) and isinstance(value.get("id"), str) and "object" in value


def is_list_object(value: Any) -> bool:
    """Return True if it is a list object, as Stripe's objects embed it."""
    return isinstance(value, dict) and value.get("object") == "list" and isinstance(value.get("data"), list)
