"""The values of a row that is written: which of them say something, and what a host made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import Column, Kind, Parameter
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.schema.columns import WRITE_ONLY
from stripe_fdw.fdw.writing.values import diff, nested
from stripe_fdw.fdw.writing.values.nested import OMIT, UNSET, Json
from stripe_fdw.fdw.writing.values.scalars import (
    encode_scalar,
    equals_scalar,
    is_same_day,
    value_error,
    value_text,
)

PARAMS, KEY = WRITE_ONLY
MAX_KEY_CHARACTERS: Final = 255  # characters that Stripe takes
_PRINTABLE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RowValues:
    """What a row gives: columns with their values, further parameters, an idempotency key."""

    columns: Mapping[str, Any]
    params: Json
    key: str | None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> RowValues:
        """Take the values apart.

        Raises ColumnError for a key or for parameters that cannot be sent.
        """
        columns = {name: value for name, value in values.items() if name not in WRITE_ONLY}
        return cls(columns, _params(values.get(PARAMS)), check_idempotency_key(values.get(KEY)))


def _params(value: Any) -> Json:
    if value is None:
        return {}
    found = parse_json(PARAMS, value)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise value_error(PARAMS, value, "a JSON object of parameters")
    return found


def check_idempotency_key(value: Any, name: str = KEY) -> str | None:
    """Return a user's idempotency key, or None for NULL. Raises ColumnError for one that cannot be sent."""
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= MAX_KEY_CHARACTERS and _PRINTABLE.fullmatch(value):
        return value
    message = f'"{name}" takes 1 to {MAX_KEY_CHARACTERS} printable ASCII characters, not {value_text(value)}'
    if isinstance(value, str) and len(value) > MAX_KEY_CHARACTERS:
        message += f" ({len(value)} characters)"
    raise ColumnError(
        message,
        hint="Something that is the same when the statement runs again: 'order-6735'.",
        sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
    )


def parse_json(name: str, value: Any) -> Any:
    """A jsonb value, also where it comes as its text. Raises ColumnError for a text that is no JSON."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return exact_json.loads(value)
    except OverflowError:
        raise value_error(
            name, value, "JSON with numbers of a sensible size", sqlstates.NUMERIC_VALUE_OUT_OF_RANGE
        ) from None
    except ValueError:
        raise value_error(name, value, "JSON: an object or an array") from None


def creation_value(column: Column, value: Any, parameter: Parameter | None) -> Any:
    """What creation sends for a value that is not None; NOTHING for an empty object."""
    if column.kind is Kind.JSON:
        found = _json_value(column.name, value)
        return OMIT if found is None else nested.encode(column.name, found, parameter)
    return encode_scalar(
        column.name, column.kind, value, column.units_per_second, parameter.values if parameter else ()
    )


def changed_value(column: Column, old: Any, new: Any, parameter: Parameter | None) -> Any:
    """What an update sends so that the old value becomes the new one; NOTHING where they are the same."""
    if column.kind is Kind.JSON:
        return diff.difference(column.name, old, _json_value(column.name, new), parameter)
    if new is None:
        return OMIT if old is None else diff.unset_value(column.name, old, parameter)
    words = parameter.values if parameter else ()
    found = encode_scalar(column.name, column.kind, new, column.units_per_second, words)
    if equals_scalar(column.kind, old, found) or (column.kind is Kind.TIME and is_same_day(old, new)):
        return OMIT
    return diff.unset_value(column.name, old, parameter) if found == UNSET else found


def full_value(column: Column, old: Any, new: Any, parameter: Parameter | None) -> Any:
    """What an update sends for a value whether or not it is the old one: the same on each run.

    NOTHING for what can only be sent as a difference.
    """
    try:
        if column.kind is Kind.JSON:
            return diff.full_value(column.name, old, _json_value(column.name, new), parameter)
        return (
            diff.unset_value(column.name, old, parameter)
            if new is None
            else creation_value(column, new, parameter)
        )
    except ColumnError:  # Stripe cannot unset it, or does not take again what it told
        return OMIT


def is_changed(name: str, column: Column | None, old: Any, new: Any) -> bool:
    """Whether a column that cannot be sent would change; one whose value cannot be read would."""
    try:
        if column is None:
            return bool(old != parse_json(name, new))
        return changed_value(column, old, new, None) is not OMIT
    except ColumnError:
        return True


def _json_value(name: str, value: Any) -> Any:
    """A jsonb value; None for NULL and for the null of JSON."""
    found = None if value is None else parse_json(name, value)
    if found is not None and not isinstance(found, dict | list):
        raise value_error(name, value, "a JSON object or array")
    return found
