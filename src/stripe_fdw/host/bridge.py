"""Python's side of the bundled host: what the C extension calls, and nothing else calls.

Each function takes and gives only plain values that C can use without a second look: it checks what the
wrapper gave. Exceptions go through; ``explain_error`` (host/sql_errors.py) says what each is in SQL.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from types import ModuleType
from typing import Any, Final

from stripe_fdw.fdw.backend.hosting import enter_run
from stripe_fdw.fdw.planning.quals import Qual, SortKey, Unknown
from stripe_fdw.host.sql_errors import WrapperError, explain_error, without_values
from stripe_fdw.host.values import (
    make_date,
    make_datetime,
    make_decimal,
    parse_json,
    since_2000,
    to_json,
    to_text,
)
from stripe_fdw.host.writing import (
    begin_modify,
    delete,
    end_modify,
    insert,
    row_identity,
    transaction,
    update,
)
from stripe_fdw.version import __version__

# What C finds here by name, though it is defined elsewhere.
__all__ = [
    "begin_modify", "delete", "end_modify", "explain_error", "insert", "make_date", "make_datetime",
    "make_decimal", "parse_json", "row_identity", "since_2000", "to_json", "to_text", "transaction", "update",
]  # fmt: skip

Lines = list[tuple[str, str]]
PlainQual = tuple[str, str, object]
PlainSortKey = tuple[str, int, int, str | None]
Options = dict[str, str]

_WRAPPERS_KEPT: Final = 500

_test_module: ModuleType | None = None


def start(version: str, test_file: str | None) -> None:
    """Say whose wrapper runs: this package's, except in the module that this package's own tests compile.

    ``version`` is the package's when the C extension was compiled: the two know each other's functions.
    """
    global _test_module  # noqa: PLW0603 - one interpreter, one wrapper
    if version != __version__:
        raise WrapperError(
            f"stripe_fdw was compiled from version {version} of the package, but {__version__} is installed",
            hint='Run "stripe-fdw host install".',
        )
    if test_file is None:
        return
    spec = importlib.util.spec_from_file_location("stripe_fdw_test_wrapper", test_file)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {test_file}")
    _test_module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = _test_module
    spec.loader.exec_module(_test_module)


def _part(module: str, name: str) -> Any:
    return getattr(_test_module or importlib.import_module(module), name)


def _wrapper_class() -> Any:
    return _part("stripe_fdw", "StripeForeignDataWrapper")


# ---- options and wrappers


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column of the foreign table: name, type as ``format_type`` prints it, the type's oid, typmod."""

    column_name: str
    type_name: str
    type_oid: int
    typmod: int
    options: dict[str, str] = field(default_factory=dict)


_wrappers: OrderedDict[tuple[int, int], tuple[object, Any]] = OrderedDict()
"""By table and user: what a wrapper was made of, and the wrapper. The least used leave first."""


def table(
    relid: int,
    user: int,
    name: str,
    options: tuple[Options, Options, Options, Options],
    columns: list[tuple[str, str, int, int]],
) -> Any:
    """The wrapper of a table for a user, the same one as long as options and columns stay as they are.

    ``options`` are those of the wrapper, the table, the server and the user mapping; the later win.
    """
    made_of = (name, options, columns)
    kept = _wrappers.get((relid, user))
    if kept is not None and kept[0] == made_of:
        _wrappers.move_to_end((relid, user))
        return kept[1]
    merged = {key: value for part in options for key, value in part.items()}
    definitions = {column[0]: ColumnDefinition(*column) for column in columns}
    wrapper = _wrapper_class()(merged, definitions)
    _wrappers[relid, user] = (made_of, wrapper)
    _wrappers.move_to_end((relid, user))
    if len(_wrappers) > _WRAPPERS_KEPT:
        _wrappers.popitem(last=False)
    return wrapper


def validate(kind: str, options: Options) -> None:
    """Check options of a wrapper, server, user mapping, table or column; raises errors.OptionError."""
    try:
        _part("stripe_fdw.fdw.schema.options", "validate_options")(kind, options)
    except BaseException as error:
        if kind != "user mapping":
            raise
        raise without_values(error, options) from None


def import_schema(
    schema: str,
    server: str,
    server_options: Options,
    options: Options,
    restriction: tuple[str | None, list[str]],
) -> list[str]:
    """Give the CREATE FOREIGN TABLE commands of an IMPORT FOREIGN SCHEMA."""
    statements = list(
        _wrapper_class().import_schema_statements(schema, server, server_options, options, *restriction)
    )
    for statement in statements:
        if type(statement) is not str or "\0" in statement:
            raise WrapperError(f"import_schema_statements() gave a {type(statement).__name__}, not SQL text")
    return statements


# ---- planning


def _quals(plain: list[PlainQual]) -> list[Qual]:
    return [Qual(*qual) for qual in plain]


def _sort_keys(plain: list[PlainSortKey]) -> list[SortKey]:
    return [SortKey(name, bool(down), bool(nulls_first), order) for name, down, nulls_first, order in plain]


def _estimate(number: object, what: str) -> float:
    if isinstance(number, int | float) and not isinstance(number, bool):
        try:
            size = float(number)
        except OverflowError:
            size = math.inf
        if math.isfinite(size) and size >= 0:
            return min(size, 1e15)
    raise WrapperError(f"{what} is no number of zero or more")


def rel_size(wrapper: Any, quals: list[PlainQual], columns: list[str]) -> tuple[float, float, float]:
    """Estimate how many rows a scan gives, their width in bytes, and how many requests they take."""
    size = wrapper.rel_size(_quals(quals), columns)
    if not isinstance(size, tuple) or len(size) != 3:
        raise WrapperError("rel_size() did not give (rows, width, requests)")
    return (
        _estimate(size[0], "the number of rows of rel_size()"),
        min(_estimate(size[1], "the width of rel_size()"), 1e6),
        _estimate(size[2], "the number of requests of rel_size()"),
    )


def path_keys(wrapper: Any) -> list[tuple[tuple[str, ...], float]]:
    """Which columns, if each is equal to one value, leave how many rows."""
    keys = []
    for key in wrapper.path_keys():
        if not isinstance(key, tuple) or len(key) != 2 or not isinstance(key[0], tuple | list):
            raise WrapperError("path_keys() did not give ((columns), rows)")
        names = tuple(key[0])
        if not all(type(name) is str for name in names):
            raise WrapperError("path_keys() gave a column that is not a str")
        keys.append((names, _estimate(key[1], "the number of rows of path_keys()")))
    return keys


def sortable(wrapper: Any, keys: list[PlainSortKey]) -> int:
    """How many of the keys, from the first, the wrapper's own order satisfies."""
    wanted = _sort_keys(keys)
    delivered = list(wrapper.sortable(wanted))
    if delivered != wanted[: len(delivered)]:
        raise WrapperError("sortable() did not give a beginning of the keys it was asked for")
    return len(delivered)


def unknown(text: str) -> Unknown:
    """Stand for a value that is not known before the query runs."""
    return Unknown(text)


# ---- scanning


def begin_statement(wrapper: Any, run: int) -> None:
    """Tell that a node of a running statement uses the wrapper. ``run`` tells executor runs apart."""
    enter_run(run)
    wrapper.begin_statement()


def end_statement(wrapper: Any, run: int) -> None:
    """Tell that the node is done, or that its statement failed."""
    enter_run(run)
    wrapper.end_statement()


def open_scan(
    wrapper: Any,
    quals: list[PlainQual],
    columns: list[str],
    keys: list[PlainSortKey],
    limit: int | None,
    fresh: int,
    run: int,
) -> Any:
    """Open a scan of an executor run; ``limit`` is a hint, ``fresh`` rows are to be changed or locked."""
    enter_run(run)
    return wrapper.open_scan(_quals(quals), columns, _sort_keys(keys), limit, fresh=bool(fresh))


def next_batch(scan: Any) -> tuple[Any, ...]:
    """Give the next rows; none means the end. A tuple, so that nobody changes it while C reads."""
    batch = scan.next_batch()
    if not isinstance(batch, list | tuple):
        raise WrapperError(f"next_batch() gave a {type(batch).__name__}, not a list of rows")
    return tuple(batch)


def close_scan(scan: Any) -> None:
    """Close a scan: it has been read to its end, or no one reads on."""
    scan.close()


# ---- EXPLAIN


def _lines(lines: object, what: str) -> Lines:
    if not isinstance(lines, list | tuple):
        raise WrapperError(f"{what}() did not give a list")
    for line in lines:
        if not (isinstance(line, tuple) and len(line) == 2 and all(isinstance(text, str) for text in line)):
            raise WrapperError(f"{what}() did not give (label, text)")
    return list(lines)


def describe(
    wrapper: Any,
    quals: list[PlainQual],
    columns: list[str],
    keys: list[PlainSortKey],
    limit: int | None,
    verbose: int,
) -> Lines:
    """Give the lines that EXPLAIN shows."""
    lines = wrapper.describe(_quals(quals), columns, _sort_keys(keys), limit, bool(verbose))
    return _lines(lines, "describe")


def describe_write(wrapper: Any, command: str, columns: list[str]) -> Lines:
    """Give the lines that EXPLAIN shows of a write."""
    return _lines(wrapper.describe_write(command, columns), "describe_write")


_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)( \w+)?")


def statistics(scan: Any, before: Lines | None) -> Lines:
    """Give the lines that EXPLAIN ANALYZE adds: of a scan, added to those of the node's scans before it."""
    if scan is None:
        return before or []
    lines = _lines(scan.statistics(), "statistics")
    earlier = dict(before or [])
    return [(label, _sum(text, earlier.get(label))) for label, text in lines]


def _sum(text: str, before: str | None) -> str:
    """Add what are numbers, with or without a unit; of other texts the later stands."""
    new, old = _QUANTITY.fullmatch(text), _QUANTITY.fullmatch(before or "")
    if new is None or old is None or new[2] != old[2]:
        return text
    return f"{Decimal(new[1]) + Decimal(old[1])}{new[2] or ''}"
