"""Column values of a written row as parameters of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import Column, Kind, Parameter
from stripe_fdw.errors import ColumnError
from stripe_fdw.exact_json import Json
from stripe_fdw.fdw.schema.columns import WRITE_ONLY
from stripe_fdw.fdw.writing.values import diff, nested
from stripe_fdw.fdw.writing.values.nested import OMIT, UNSET
from stripe_fdw.fdw.writing.values.scalars import (
    encode_scalar,
    equals_scalar,
    is_same_day,
    value_error,
    value_text,
)
from stripe_fdw.fdw.writing.values.unset import unset_value

PARAMS, KEY = WRITE_ONLY
MAX_KEY_CHARACTERS: Final = 255  # characters that Stripe takes
_PRINTABLE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?", re.ASCII)


class RowValues(Struct, frozen=True):
    """The values of a written row: its columns, the parameters of _params, and its idempotency key."""

    columns: Mapping[str, Any]
    parameters: Json
    idempotency_key: str | None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> RowValues:
        """Return the values of a row, separated.

        Raises ColumnError for a key or for parameters that cannot be sent.
        """
        columns = {name: value for name, value in values.items() if name not in WRITE_ONLY}
        return cls(columns, _params(values.get(PARAMS)), check_idempotency_key(values.get(KEY)))


def _params(value: Any) -> Json:
    if value is None:
        return {}
    parameters = parse_json(PARAMS, value)
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise value_error(PARAMS, value, "a JSON object of parameters")
    return parameters


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
        hint="Use a value that is the same when the statement runs again, such as 'order-6735'.",
        sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
    )


def parse_json(name: str, value: Any) -> Any:
    """Return a jsonb value, parsed where the host gives its text. Raises ColumnError for invalid JSON."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return exact_json.loads(value)
    except OverflowError:
        raise value_error(
            name, value, "JSON whose numbers are not out of range", sqlstates.NUMERIC_VALUE_OUT_OF_RANGE
        ) from None
    except exact_json.TooDeepError:
        too_deep = f"JSON that is nested at most {exact_json.MAX_DEPTH} deep"
        raise value_error(name, value, too_deep, sqlstates.STATEMENT_TOO_COMPLEX) from None
    except exact_json.TooLargeError:
        too_large = f"JSON of at most {exact_json.MAX_VALUES} values"
        raise value_error(name, value, too_large, sqlstates.STATEMENT_TOO_COMPLEX) from None
    except ValueError:
        raise value_error(name, value, "JSON: an object or an array") from None


def creation_value(column: Column, value: Any, parameter: Parameter | None) -> Any:
    """Return what creation sends for a value that is not None; OMIT for an empty object."""
    if column.kind is Kind.JSON:
        structure = _json_value(column.name, value)
        return OMIT if structure is None else nested.encode(column.name, structure, parameter)
    return encode_scalar(
        column.name, column.kind, value, column.units_per_second, parameter.values if parameter else ()
    )


def changed_value(column: Column, old: Any, new: Any, parameter: Parameter | None) -> Any:
    """Return what an update sends to change the old value to the new one; OMIT where they are equal."""
    if column.kind is Kind.JSON:
        return diff.difference(column.name, old, _json_value(column.name, new), parameter)
    if new is None:
        return OMIT if old is None else unset_value(column.name, old, parameter)
    keywords = parameter.values if parameter else ()
    encoded = encode_scalar(column.name, column.kind, new, column.units_per_second, keywords)
    if equals_scalar(column.kind, old, encoded) or (column.kind is Kind.TIME and is_same_day(old, new)):
        return OMIT
    is_unset = encoded == UNSET and not (parameter is not None and parameter.null_unsets)
    return unset_value(column.name, old, parameter) if is_unset else encoded


def full_value(column: Column, old: Any, new: Any, parameter: Parameter | None) -> Any:
    """Return what an update sends for a value whether or not it differs from the old one.

    OMIT for a value that can only be sent as a difference.
    """
    try:
        if column.kind is Kind.JSON:
            return diff.full_value(column.name, old, _json_value(column.name, new), parameter)
        return (
            unset_value(column.name, old, parameter)
            if new is None
            else creation_value(column, new, parameter)
        )
    except ColumnError:  # Stripe cannot unset it, or does not accept the value that it returned
        return OMIT


def is_changed(name: str, column: Column | None, old: Any, new: Any) -> bool:
    """Return True if the column's value differs from the old one, or cannot be read."""
    try:
        if column is None:
            return bool(old != parse_json(name, new))
        return changed_value(column, old, new, None) is not OMIT
    except ColumnError:
        return True


def _json_value(name: str, value: Any) -> Any:
    """Return a jsonb object or array; None for NULL and for JSON's null."""
    parsed = None if value is None else parse_json(name, value)
    if parsed is not None and not isinstance(parsed, dict | list):
        raise value_error(name, value, "a JSON object or array")
    return parsed
