"""The columns that an UPDATE under Multicorn2 changes: it gives all columns, not saying which were set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.schema.columns import WRITE_ONLY
from stripe_fdw.fdw.writing.values.column_parameters import parse_json
from stripe_fdw.fdw.writing.values.scalars import encode_scalar, is_same_day

FormatTime = Callable[[int], str | None]
"""Formats a time, in microseconds since 1970, in the session's DateStyle and TimeZone."""


def changed_columns(
    resource: Resource, read: Mapping[str, Any], new: Mapping[str, Any], format_time: FormatTime
) -> dict[str, Any]:
    """Return the columns of the new row that differ from the row as it was read.

    A column that only selects rows is left out: its value came from the query, and no object has it.

    Args:
        resource: whose object the row is.
        read: the row as it was given to Multicorn, each value as text for its type's input function.
        new: all columns of the new row, as texts and floats.
        format_time: formats times as the session does.
    """
    changed = {}
    for name, value in new.items():
        if name in WRITE_ONLY:
            if value is not None:
                changed[name] = value
            continue
        column = resource.column.get(name)
        if column is not None and not column.path:
            continue
        kind = Kind.JSON if column is None else column.kind
        if not _is_equal(name, kind, read.get(name), value, format_time):
            # A boolean comes as the text "t", and a state that is one is true.
            is_text = kind is Kind.BOOLEAN and isinstance(value, str)
            changed[name] = encode_scalar(name, kind, value) if is_text else value
    return changed


def _is_equal(name: str, kind: Kind, read: Any, value: Any, format_time: FormatTime) -> bool:
    if read is None or value is None:
        return read is value
    if kind is Kind.TIMESTAMP:  # a time like any other once it is read
        kind = Kind.TIME
    try:
        if kind is Kind.JSON:
            return bool(parse_json(name, read) == parse_json(name, value))
        old = encode_scalar(name, kind, read, 1_000_000)
        if kind is Kind.TIME and (value == format_time(int(old)) or is_same_day(int(old) / 1_000_000, value)):
            return True  # in a DateStyle that Python cannot parse, or without its hours
        if isinstance(value, float) and kind is not Kind.TIME:
            return float(Decimal(str(old))) == value
        return str(read) == str(value) or old == encode_scalar(name, kind, value, 1_000_000)
    except (ColumnError, ArithmeticError):
        return False
