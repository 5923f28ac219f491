"""Comments on tables and their columns: what psql and other tools show of the catalog.

``comments`` are those of the foreign tables. Those of copies and their views have the same phrases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stripe_fdw.catalog import describe
from stripe_fdw.catalog.describe import ColumnDescription
from stripe_fdw.catalog.model import Resource

BEGINNING: Final = "Stripe: "
"""How all comments begin. Others on the same tables are the user's, and stay."""

_MAX_VALUES: Final = 30
_AMOUNTS: Final = frozenset({"bigint", "numeric"})

LOCAL_COPIES: Final = "Local copies, written by stripe-fdw alone."
"""In the comments of tables of copies, by which these are recognized."""
PSEUDO_COLUMNS: Final = {
    "_raw": "the whole object, as Stripe sends it. Only read.",
    "_params": "parameters of the request that no column has, as a JSON object. Only written.",
    "_idempotency_key": "the key with which Stripe carries out a row only once. Only written.",
}


def comments(resource: Resource) -> Iterator[tuple[str | None, str]]:
    """Yield the comments on a resource's table: of the table itself (None), and of each column by name."""
    described = describe.table(resource)
    sentences = [
        object_sentence(resource),
        *(
            [f"Read with a condition on {' and '.join(described['required'])}."]
            if described["required"]
            else []
        ),
        write_sentence(resource),
    ]
    yield None, BEGINNING + " ".join(sentences)
    for column in described["columns"]:
        yield column["column"], BEGINNING + _column_comment(column)
    for name, text in PSEUDO_COLUMNS.items():
        if name == "_raw" or resource.create or resource.update:
            yield name, BEGINNING + text


def object_sentence(resource: Resource) -> str:
    """Return which objects a table has."""
    return f"objects of type {resource.object}." if resource.object else "objects of several types."


def write_sentence(resource: Resource) -> str:
    """Return which statements write to a resource, through its foreign table or the view of its copy."""
    operations = {"INSERT": resource.create, "UPDATE": resource.update, "DELETE": resource.delete}
    written = [name for name, operation in operations.items() if operation is not None]
    if "UPDATE" not in written and resource.transitions:
        written.append("UPDATE")
    return f"Written with {', '.join(written)}." if written else "Only read."


def value_phrases(column: ColumnDescription) -> list[str]:
    """Return what values a column has, wherever it is."""
    values = column["values"]
    if values:
        more = f", ... {len(values) - _MAX_VALUES} more" if len(values) > _MAX_VALUES else ""
        kind = f"one of {', '.join(values[:_MAX_VALUES])}{more}"
    elif column["references"]:
        kind = f"the id of {' or '.join(column['references'])}"
    elif column["type"] in _AMOUNTS and "amount" in column["column"].split("_"):
        kind = f"{column['type']}, in the smallest unit of the currency"
    else:
        kind = column["type"]
    return [kind, *([f"the first entries; all are in {column['lists']}"] if column["lists"] else [])]


def write_phrase(column: ColumnDescription) -> str:
    """Return which statements write a column, through a foreign table or the view of a copy."""
    writes = [item for item in column["write"] if item != "NULL"]
    return f"written: {', '.join(writes)}" if writes else "not written"


def _column_comment(column: ColumnDescription) -> str:
    parts = [
        *value_phrases(column),
        *([f"filtered by Stripe: {', '.join(column['pushed'])}"] if column["pushed"] else []),
        write_phrase(column),
    ]
    return "; ".join(parts) + "."
