"""Python's side of the bundled host: what the C extension calls, and nothing else calls.

Each function takes and gives only plain values that C can use without a second look: it checks what the
table gave. Exceptions go through; ``explain_error`` (host/sql_errors.py) says what each is in SQL.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from stripe_fdw.fdw.backend.hosting import REQUIRE_WHERE
from stripe_fdw.fdw.planning.quals import Qual, SortKey, Unknown
from stripe_fdw.host.backend import Column, Options, backend, served, start
from stripe_fdw.host.modify import (
    delete,
    end_modify,
    insert,
    refuse_write,
    request_cost,
    row_identity,
    transaction,
    update,
    write_statistics,
)
from stripe_fdw.host.sql_errors import HostError, explain_error, without_values
from stripe_fdw.host.values import (
    make_date,
    make_datetime,
    make_decimal,
    parse_json,
    since_2000,
    to_json,
    to_text,
)

if TYPE_CHECKING:
    from stripe_fdw.fdw.tables.base import Lines

# What C finds here by name, though it is defined elsewhere.
__all__ = [
    "delete", "end_modify", "explain_error", "insert", "make_date", "make_datetime", "make_decimal",
    "parse_json", "refuse_write", "request_cost", "row_identity", "since_2000", "start", "to_json", "to_text",
    "transaction", "update", "write_statistics",
]  # fmt: skip

_MOST_ROWS_AHEAD: Final = 1000
_CHANGED: Final = 2  # what C says of a scan whose rows are then changed
PlainQual = tuple[str, str, object] | tuple[str, str, object, tuple[str, ...]]  # as Qual has them
PlainSortKey = tuple[str, int, int, str | None]


def known_table(relid: int, user: int, changes: int) -> Any:
    """Return the table of a user if no catalog has changed since it was compared, else None.

    ``changes`` counts the changes of catalogs that this backend has seen.
    """
    return backend().tables.known(relid, user, changes)


def open_table(
    relid: int,
    user: int,
    changes: int,
    names: tuple[str, str],
    options: tuple[Options, Options, Options, Options],
    mapping_of: tuple[str, str, bool],
    columns: list[Column],
) -> Any:
    """Return the table of a user, the same one as long as options and columns stay as they are."""
    return backend().tables.get(relid, user, changes, names, options, mapping_of, columns)


def validate(kind: str, options: Options) -> None:
    """Check the options of one catalog entry, such as a server or a column; raises errors.OptionError."""
    try:
        served("stripe_fdw.fdw.schema.options", "validate_options")(kind, options)
    except BaseException as error:
        if kind != "user mapping":
            raise
        raise without_values(error, options) from None


def has_foreign_api_base(options: Options) -> bool:
    """Return True if a server's options, which are valid, name an address that only superusers may set."""
    from stripe_fdw.api.api_base import check_api_base, is_foreign

    return "api_base" in options and is_foreign(check_api_base(options["api_base"]))


def import_schema(
    schema: str,
    server: str,
    options: Options,
    restriction: tuple[str | None, list[str]],
) -> list[str]:
    """Return the CREATE FOREIGN TABLE commands of an IMPORT FOREIGN SCHEMA."""
    import_statements = served("stripe_fdw.fdw.schema.import_schema", "import_statements")
    statements = list(import_statements(schema, server, options, *restriction))
    for statement in statements:
        if type(statement) is not str or "\0" in statement:
            raise HostError(f"import_statements() returned a {type(statement).__name__}, not SQL text")
    return statements


# ---- planning


def _quals(plain: list[PlainQual]) -> list[Qual]:
    return [Qual(*qual) for qual in plain]


def _sort_keys(plain: list[PlainSortKey]) -> list[SortKey]:
    return [SortKey(name, bool(down), bool(nulls_first), order) for name, down, nulls_first, order in plain]


def _checked_estimate(number: object, description: str) -> float:
    if isinstance(number, int | float) and not isinstance(number, bool):
        try:
            size = float(number)
        except OverflowError:
            size = math.inf
        if math.isfinite(size) and size >= 0:
            return min(size, 1e15)
    raise HostError(f"{description} is not a number of zero or more")


def rel_size(
    table: Any, quals: list[PlainQual], columns: list[str]
) -> tuple[float, float, float, float, int]:
    """Estimate a scan: its rows, their width in bytes, its seconds alone, and those as one of many.

    The last number says for how many outer rows a nested loop may send requests ahead.
    """
    size = table.size(_quals(quals))
    seconds = getattr(size, "seconds", None)
    return (
        _checked_estimate(getattr(size, "rows", None), "the number of rows of size()"),
        min(_checked_estimate(table.width(columns), "width()"), 1e6),
        _checked_estimate(getattr(seconds, "alone", None), "the duration of size()"),
        _checked_estimate(getattr(seconds, "ahead", None), "the duration of size()"),
        int(min(_checked_estimate(table.rows_ahead(), "rows_ahead()"), _MOST_ROWS_AHEAD)),
    )


def path_keys(table: Any) -> list[tuple[tuple[str, ...], float]]:
    """Return combinations of columns, each with the rows that one value for each of them leaves."""
    keys = []
    for key in table.path_keys():
        if not isinstance(key, tuple) or len(key) != 2 or not isinstance(key[0], tuple | list):
            raise HostError("path_keys() did not return ((columns), rows)")
        names = tuple(key[0])
        if not all(type(name) is str for name in names):
            raise HostError("path_keys() returned a column that is not a str")
        keys.append((names, _checked_estimate(key[1], "the number of rows of path_keys()")))
    return keys


def rows_per_value(table: Any) -> list[tuple[str, float]]:
    """Return columns, each with the number of rows that share a value of it."""
    found = []
    for item in table.rows_per_value():
        if not isinstance(item, tuple) or len(item) != 2 or type(item[0]) is not str:
            raise HostError("rows_per_value() did not return (column, rows)")
        found.append((item[0], _checked_estimate(item[1], "the number of rows of rows_per_value()")))
    return found


def sortable(table: Any, keys: list[PlainSortKey]) -> int:
    """Return how many of the keys, from the first, the table's own order satisfies."""
    wanted = _sort_keys(keys)
    delivered = list(table.sortable(wanted))
    if delivered != wanted[: len(delivered)]:
        raise HostError("sortable() did not return a prefix of the requested sort keys")
    return len(delivered)


def unknown(text: str) -> Unknown:
    """Return a placeholder for a value that is not known before the query runs."""
    return Unknown(text)


# ---- scanning


def begin_statement(run: int) -> None:
    """Begin a node of a statement. ``run`` identifies the executor run."""
    backend().host.enter_run(run)
    backend().session.begin_statement()


def end_statement(run: int) -> None:
    """End a node, after its last row or an error of its statement."""
    backend().host.enter_run(run)
    backend().session.end_statement()


def open_scan(
    table: Any,
    quals: list[PlainQual],
    columns: list[str],
    keys: list[PlainSortKey],
    limit: int | None,
    fresh: int,
    named: list[str],
    run: int,
) -> Any:
    """Open a scan of an executor run; ``limit`` is a hint, ``fresh`` rows are to be locked, or changed if 2.

    ``named`` are the columns that the query itself names; ``*`` among them stands for the whole row.
    """
    backend().host.enter_run(run)
    if fresh == _CHANGED and backend().host.is_on(REQUIRE_WHERE):
        table.require_condition(_quals(quals))
    return table.open_scan(_quals(quals), columns, _sort_keys(keys), limit, fresh=bool(fresh), named=named)


def requests_ahead(table: Any, fresh: int, run: int) -> Any:
    """Return what sends the requests of a nested loop of an executor run ahead."""
    backend().host.enter_run(run)
    return table.requests_ahead(bool(fresh))


def ask_ahead(
    ahead: Any,
    quals: list[PlainQual],
    keys: list[PlainSortKey],
    limit: int | None,
    named: list[str],
    run: int,
) -> None:
    """Send the first requests of a scan that will be opened with these arguments, or never."""
    backend().host.enter_run(run)
    ahead.ask(_quals(quals), _sort_keys(keys), limit, named)


def next_batch(scan: Any) -> tuple[Any, ...]:
    """Return the next rows, none at the end, as a tuple: it cannot change while C reads it."""
    batch = scan.next_batch()
    if not isinstance(batch, list | tuple):
        raise HostError(f"next_batch() returned a {type(batch).__name__}, not a list of rows")
    return tuple(batch)


def close_scan(scan: Any) -> None:
    """Close a scan, at its end or before."""
    scan.close()


# ---- EXPLAIN


def _checked_lines(lines: object, method: str) -> Lines:
    if not isinstance(lines, list | tuple):
        raise HostError(f"{method}() did not return a list")
    for line in lines:
        if not (isinstance(line, tuple) and len(line) == 2 and all(isinstance(text, str) for text in line)):
            raise HostError(f"{method}() did not return (label, text)")
    return list(lines)


def describe(
    table: Any,
    quals: list[PlainQual],
    keys: list[PlainSortKey],
    limit: int | None,
    verbose: int,
    named: list[str],
) -> Lines:
    """Return EXPLAIN's lines of a read."""
    lines = table.describe(_quals(quals), _sort_keys(keys), limit, bool(verbose), named=named)
    return _checked_lines(lines, "describe")


def describe_write(table: Any, change: tuple[str, list[str], dict[str, Any], list[str]]) -> Lines:
    """Return EXPLAIN's lines of a write: of what ``PlannedChange`` has."""
    from stripe_fdw.fdw.writing.plan.explain import PlannedChange

    return _checked_lines(table.describe_write(PlannedChange(*change)), "describe_write")


_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)( \w+)?")


def statistics(scan: Any, before: Lines | None) -> Lines:
    """Return EXPLAIN ANALYZE's lines: a scan's statistics added to those of the node's earlier scans."""
    if scan is None:
        return before or []
    lines = _checked_lines(scan.statistics(), "statistics")
    earlier = dict(before or [])
    return [(label, _sum(text, earlier.get(label))) for label, text in lines]


def _sum(text: str, before: str | None) -> str:
    """Return the sum of two quantities of one unit; of any other texts, the later one."""
    new, old = _QUANTITY.fullmatch(text), _QUANTITY.fullmatch(before or "")
    if new is None or old is None or new[2] != old[2]:
        return text
    return f"{Decimal(new[1]) + Decimal(old[1])}{new[2] or ''}"
