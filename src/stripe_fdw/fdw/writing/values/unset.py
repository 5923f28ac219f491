"""NULL: the value by which a parameter is unset, where Stripe can unset it."""

from __future__ import annotations

from typing import Any

from stripe_fdw import sqlstates
from stripe_fdw.catalog.model import Kind, Parameter
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.writing.values.nested import UNSET


def unset_value(name: str, old: Any, parameter: Parameter | None) -> Any:
    """Return the parameter that unsets a value: the empty string, in version 2 of the API null.

    Stripe takes it for texts and lists in general, whether its types say so or not. For other values they
    have to say so; of those inside objects they often don't though Stripe does take it, so only true, false
    and objects count as certain there. Raises ColumnError where Stripe does not take it.
    """
    if parameter is not None and parameter.null_unsets and not parameter.required:
        return UNSET
    inside = "[" in name
    if parameter is None or parameter.unsettable or parameter.is_list or isinstance(old, list):
        return UNSET
    if parameter.kind is Kind.TEXT and not parameter.values and not parameter.required:
        return UNSET
    if inside and parameter.kind not in (Kind.BOOLEAN, Kind.JSON) and not parameter.required:
        return UNSET
    hint = "Set it to another value." if not isinstance(old, dict) else "Set its keys to null one by one."
    if inside:
        column = name.partition("[")[0]
        hint = f"Keep what the object has: {column} || '...', or jsonb_set({column}, ...)."
    raise ColumnError(f'"{name}" cannot be unset in Stripe', hint=hint, sqlstate=sqlstates.NOT_NULL_VIOLATION)
