"""The foreign data wrapper: what a host calls for each foreign table, and nothing that decides anything.

The bundled host calls the methods of the first half. Multicorn calls those of the second, which translate.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar

from stripe_fdw.api.request import PAGE
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.fdw.backend import hosting
from stripe_fdw.fdw.cache.response_cache import session_cache
from stripe_fdw.fdw.planning.quals import Qual, SortKey, of_multicorn
from stripe_fdw.fdw.reading.scan import Scan, scans
from stripe_fdw.fdw.schema import import_schema
from stripe_fdw.fdw.schema.options import check_server_options
from stripe_fdw.fdw.tables.resource import table
from stripe_fdw.fdw.writing.transaction import transaction_writes
from stripe_fdw.redaction import redact

P = ParamSpec("P")
T = TypeVar("T")


def _fail(error: BaseException) -> NoReturn:
    """Raise what this host can bear: Multicorn only a fresh exception with a plain message."""
    if not hosting.needs_plain_errors():
        raise error
    try:
        message = str(error) if isinstance(error, StripeFdwError) else f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - its text cannot be had, so its type has to do
        message = type(error).__name__
    raise hosting.PlainError(redact(message)) from None


def guarded(method: Callable[P, T]) -> Callable[P, T]:
    """Let no exception out that the host cannot bear."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - any other would end the backend
            _fail(error)

    return call


def quiet(method: Callable[P, None]) -> Callable[P, None]:
    """Let no exception out at all: where a transaction ends, any would end the whole server."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - see above
            hosting.warn(f"what was written to Stripe cannot be told: {type(error).__name__}")

    return call


class StripeForeignDataWrapper(hosting.ForeignDataWrapper):
    """One foreign table. Holds no state of a scan, since one instance serves several at a time."""

    modify_batch_size = 1

    @guarded
    def __init__(self, options: dict[str, str], columns: Mapping[str, hosting.ColumnDefinition]) -> None:
        """Check options and columns. Makes no request.

        Raises:
            OptionError: an option's value cannot be used, or the table does not name its object.
            TableError: Stripe has no such object.
            ColumnError: the object has no such column, or has it with another type.
        """
        super().__init__(dict(options), dict(columns))
        self._table = table(options, columns)
        self._columns = tuple(columns)
        self._changed_by: int | None = None

    # -- the bundled host -------------------------------------------------------------------------------

    def rel_size(self, quals: Sequence[Qual], columns: Sequence[str]) -> tuple[float, int, float]:
        """How many rows the planner should expect, how many bytes each has, and how many requests they take.

        Makes no request.
        """
        size = self._table.size(quals)
        return size.rows, self._table.width(columns), size.requests

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """The columns for which a nested loop may ask value by value, and how many rows a value brings."""
        return self._table.path_keys()

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """The part of the order that scans deliver."""
        return self._table.sortable(sortkeys)

    def describe(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],  # noqa: ARG002 - which columns are read changes no request
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
    ) -> list[tuple[str, str]]:
        """EXPLAIN's lines: the requests, what they say of the WHERE, what Postgres checks."""
        return self._table.describe(quals, sortkeys, limit, verbose)

    def describe_write(self, command: str, columns: Sequence[str]) -> list[tuple[str, str]]:
        """EXPLAIN's lines of an INSERT or UPDATE that sets these columns, or of a DELETE."""
        return self._table.describe_write(command, columns)

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey] = (),
        limit: int | None = None,
        fresh: bool = False,
    ) -> Scan:
        """Prepare a scan with these columns in this order; the first request leaves with the first batch.

        ``fresh`` is a scan whose rows will be changed: it asks Stripe, whatever is remembered.

        Raises:
            MissingQualError: the table needs a qual that is not there.
            AuthenticationError: the current role has no user mapping.
        """
        return self._table.open_scan(quals, columns, sortkeys, limit, fresh)

    def row_identity(self) -> tuple[str, ...]:
        """The columns of a row as it was read that ``update_row`` and ``delete_row`` want."""
        return self._table.identity

    def insert_row(self, values: dict[str, Any], answered: bool) -> dict[str, Any] | None:
        """Create an object with the columns that were given; its row, unless nobody sees it.

        Where nobody does (``answered`` is False), the request may still be under way.
        """
        return self._table.insert_row(values, answered)

    def update_row(
        self, old: dict[str, Any], values: dict[str, Any], answered: bool
    ) -> dict[str, Any] | Literal[False] | None:
        """Set columns of the object that was read as ``old``. False: the statement has changed it before."""
        return self._table.update_row(old, values, answered)

    def delete_row(self, old: dict[str, Any], answered: bool) -> Literal[False] | None:
        """Delete the object that was read as ``old``. False: the statement has deleted it before."""
        return self._table.delete_row(old, answered)

    @classmethod
    def import_schema_statements(
        cls,
        remote_schema: str,
        server: str,
        server_options: Mapping[str, str],  # noqa: ARG003 - what Stripe has does not depend on them
        options: Mapping[str, str],
        restriction: import_schema.Restriction,
        tables: Sequence[str],
    ) -> list[str]:
        """The CREATE FOREIGN TABLE commands of an IMPORT FOREIGN SCHEMA."""
        found = import_schema.imported_tables(remote_schema, options, restriction, tables)
        return [import_schema.create_statement(item, server) for item in found]

    def begin_statement(self) -> None:
        """A node of a statement starts."""
        session_cache.begin()

    def end_statement(self) -> None:
        """A node of a statement ended, or failed."""
        session_cache.end()

    # -- both -------------------------------------------------------------------------------------------

    @guarded
    def end_modify(self) -> None:
        """A statement writes no more rows: waits for what is under way, and raises what failed."""
        self._table.end_modify()

    @guarded
    def pre_commit(self) -> None:
        """The transaction is to be committed."""
        transaction_writes.pre_commit()

    @quiet
    def commit(self) -> None:
        """It is committed."""
        transaction_writes.commit()

    @quiet
    def rollback(self) -> None:
        """It is rolled back: warn of what stays in Stripe."""
        transaction_writes.rollback()

    @quiet
    def sub_commit(self, level: int) -> None:
        """A savepoint is released."""
        transaction_writes.sub_commit(level)

    @quiet
    def sub_rollback(self, level: int) -> None:
        """What was done since a savepoint is rolled back: warn of what stays in Stripe."""
        transaction_writes.sub_rollback(level)

    # -- Multicorn --------------------------------------------------------------------------------------

    @property
    def rowid_column(self) -> str:
        """The column that identifies a row: the whole object, where the table has it.

        Asked for when a statement that changes rows begins: its scans of them must ask Stripe.
        """
        self._changed_by = hosting.executor_run()
        return self._table.rowid

    @guarded
    def insert(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """Create an object; columns that were not given are None, as are those set to NULL."""
        return self._table.insert_row(values, True)

    @guarded
    def update(self, rowid: object, values: dict[str, Any]) -> dict[str, Any] | None:
        """Change an object; ``values`` has all columns, also those that were not set."""
        return self._table.update_as_multicorn_says(rowid, values)

    @guarded
    def delete(self, rowid: object) -> None:
        """Delete an object."""
        self._table.delete_as_multicorn_says(rowid)

    @guarded
    def get_rel_size(self, quals: Sequence[object], columns: Sequence[str]) -> tuple[int, int]:
        """Rows and width, of which Multicorn makes the cost: so the rows are all that come."""
        return int(self._table.size(of_multicorn(quals)).fetched), self._table.width(list(columns))

    @guarded
    def get_path_keys(self) -> list[tuple[tuple[str, ...], int]]:
        """Columns for nested loops, and how many rows a value brings: at least the price of a page."""
        return [(names, max(PAGE, int(rows))) for names, rows in self._table.path_keys()]

    @guarded
    def can_sort(self, sortkeys: Sequence[Any]) -> list[Any]:
        """The part of the order that scans deliver."""
        return list(sortkeys)[: len(self._table.sortable(_sortkeys(sortkeys)))]

    def can_limit(self, limit: int | None, offset: int | None) -> bool:  # noqa: ARG002
        """Say no: Multicorn would leave out Postgres's own Limit, and lose rows."""
        return False

    @guarded
    def explain(
        self,
        quals: Sequence[object],
        columns: Sequence[str],  # noqa: ARG002 - which columns are read changes no request
        sortkeys: Sequence[Any] | None = None,
        verbose: bool = False,
    ) -> list[str]:
        """EXPLAIN's lines."""
        known = of_multicorn(quals, explaining=True)
        lines = self._table.describe(known, _sortkeys(sortkeys), None, verbose)
        return [f"{label}: {text}" for label, text in lines]

    def execute(
        self,
        quals: Sequence[object],
        columns: Sequence[str],
        sortkeys: Sequence[Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The rows, each with every column: ``columns`` is empty where the whole row is wanted."""
        return scans.add(self._rows(quals, columns, sortkeys))

    def _rows(
        self, quals: Sequence[object], columns: Sequence[str], sortkeys: Sequence[Any] | None
    ) -> Generator[dict[str, Any], None, None]:
        try:
            session_cache.join()
            found, order = of_multicorn(quals), _sortkeys(sortkeys)
            scan = self._table.open_scan(found, self._columns, order, None, self._is_changed(columns))
            while batch := scan.next_batch():
                for row in batch:
                    yield dict(zip(self._columns, row, strict=True))
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - any other would end the backend
            _fail(error)

    def _is_changed(self, columns: Sequence[str]) -> bool:
        """Whether the statement that reads these columns changes the rows."""
        run = hosting.executor_run()
        return run is not None and run == self._changed_by and (not columns or self._table.rowid in columns)

    @classmethod
    @guarded
    def import_schema(
        cls,
        schema: str,
        srv_options: Mapping[str, str],
        options: Mapping[str, str],
        restriction_type: str | None,
        restricts: Sequence[str],
    ) -> list[Any]:
        """The tables of an IMPORT FOREIGN SCHEMA, as Multicorn wants them.

        Here alone Multicorn shows the options of the server without those of a table.
        """
        check_server_options(srv_options)
        restriction: import_schema.Restriction = None
        if restriction_type:
            restriction = "limit to" if "limit" in restriction_type else "except"
        found = import_schema.imported_tables(schema, options, restriction, list(restricts or ()))
        return [hosting.table_definition(item.name, list(item.columns), item.options) for item in found]


def _sortkeys(sortkeys: Sequence[Any] | None) -> list[SortKey]:
    return [
        SortKey(str(key.attname), bool(key.is_reversed), bool(key.nulls_first), key.collate)
        for key in sortkeys or ()
    ]
