"""The class that Multicorn2 calls for each foreign table, translating to ``tables.base.Table``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from stripe_fdw.api.request import PAGE
from stripe_fdw.fdw.backend.hosting import REQUIRE_WHERE, ColumnDefinition, Row
from stripe_fdw.fdw.backend.multicorn2 import (
    Multicorn2Host,
    MulticornHost,
    OutsideServer,
    inside_server,
    showable,
)
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.multicorn.errors import guarded, raise_plain
from stripe_fdw.fdw.multicorn.open_scans import OpenScans
from stripe_fdw.fdw.multicorn.quals import translate_quals, translate_sort_keys
from stripe_fdw.fdw.multicorn.resource_table import RowidResourceTable
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.schema import import_schema
from stripe_fdw.fdw.schema.import_schema import (
    ACCOUNT_TABLE,
    CALL_TABLE,
    CHECK_TABLE,
    INVALIDATION_TABLE,
    LOST_WRITE_TABLE,
    VIEW_WRITE_TABLE,
    WRITTEN_TABLE,
)
from stripe_fdw.fdw.schema.options import KEYS, validate_options
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.column_names import ColumnNames
from stripe_fdw.fdw.tables.factory import open_table

if not TYPE_CHECKING and inside_server():
    from multicorn import ForeignDataWrapper
else:
    # Outside a server nothing asks which packages can be imported: a ``multicorn`` there may be anything.
    class ForeignDataWrapper:
        """Stands for Multicorn's base class where no Multicorn runs this process."""

        def __init__(self, options: dict[str, str], columns: dict[str, Any]) -> None:
            """Keep nothing."""


P = ParamSpec("P")


host: Final[MulticornHost] = Multicorn2Host() if inside_server() else OutsideServer()

session: Final = Session(host)
"""The state of this backend: Multicorn makes wrappers by their class alone, so it cannot be handed in."""

open_scans: Final = OpenScans(host.transaction_started)

_ANSWERED: Final = ()
"""The columns for which answers are expanded: none, since Multicorn does not say what RETURNING names."""

_FUNCTION_ROWIDS: Final = {
    ACCOUNT_TABLE: "key",
    CALL_TABLE: "path",
    CHECK_TABLE: "version",
    INVALIDATION_TABLE: "resource",
    LOST_WRITE_TABLE: "file",
    VIEW_WRITE_TABLE: "resource",
    WRITTEN_TABLE: "resource",
}


def never_raises(method: Callable[P, None]) -> Callable[P, None]:
    """Turn every exception into a warning: at the end of a transaction, one would end the whole server."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - see above
            host.warn(f"what was written to Stripe cannot be reported: {type(error).__name__}")

    return call


class StripeForeignDataWrapper(ForeignDataWrapper):
    """One foreign table under Multicorn2. Holds no state of a scan: one instance serves several at a time."""

    modify_batch_size = 1

    @guarded
    def __init__(self, options: dict[str, str], columns: Mapping[str, ColumnDefinition]) -> None:
        """Check options and columns. Makes no request."""
        super().__init__(dict(options), dict(columns))
        self._names = ColumnNames.of(columns)
        self._table = open_table(
            session,
            _own(options),
            self._names.definitions(columns),
            partial(RowidResourceTable, format_time=host.format_time),
        )
        rowid = (
            self._table.rowid
            if isinstance(self._table, RowidResourceTable)
            else _FUNCTION_ROWIDS[options["object"]]
        )
        [self._rowid] = self._names.table_columns([rowid])
        self._columns = tuple(columns)
        self._changed_by: int | None = None

    # -- planning -------------------------------------------------------------------------------------------

    @guarded
    def get_rel_size(self, quals: Sequence[object], columns: Sequence[str]) -> tuple[int, int]:
        """Return rows and width, from which Multicorn computes the cost: all rows that are fetched."""
        size = self._table.size(self._quals(quals))
        return int(size.fetched), self._table.width(self._names.columns(columns))

    @guarded
    def get_path_keys(self) -> list[tuple[tuple[str, ...], int]]:
        """Return the columns for nested loops, and the rows that a value brings: a page at least."""
        return [
            (self._names.table_columns(columns), max(PAGE, int(rows)))
            for columns, rows in self._table.path_keys()
        ]

    @guarded
    def can_sort(self, sortkeys: Sequence[Any]) -> list[Any]:
        """Return the leading part of the order that scans deliver."""
        return list(sortkeys)[: len(self._table.sortable(self._sort_keys(sortkeys)))]

    def can_limit(self, limit: int | None, offset: int | None) -> bool:  # noqa: ARG002
        """Return False: Multicorn would leave out Postgres's own Limit node, and lose rows."""
        return False

    @guarded
    def explain(
        self,
        quals: Sequence[object],
        columns: Sequence[str],
        sortkeys: Sequence[Any] | None = None,
        verbose: bool = False,
    ) -> list[str]:
        """Return EXPLAIN's lines."""
        lines = self._table.describe(
            self._quals(quals, explaining=True),
            self._sort_keys(sortkeys),
            None,
            verbose,
            self._names.columns(columns),
        )
        return [showable(f"{label}: {text}") for label, text in lines]

    # -- reading --------------------------------------------------------------------------------------------

    def execute(
        self,
        quals: Sequence[object],
        columns: Sequence[str],
        sortkeys: Sequence[Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Return the rows, each with every column: ``columns`` lacks those of a reference to the whole row.

        So such a reference does without what Stripe sends only where it is expanded.
        """
        return open_scans.add(self._rows(quals, columns, sortkeys))

    def _rows(
        self, quals: Sequence[object], columns: Sequence[str], sortkeys: Sequence[Any] | None
    ) -> Generator[dict[str, Any], None, None]:
        try:
            session.response_cache.join_run(host.ended_runs())
            is_changed, named = self._is_changed(columns), self._names.columns(columns)
            if is_changed and isinstance(self._table, RowidResourceTable):
                named = self._table.without_secrets(named)  # an UPDATE names all columns
            if is_changed and host.is_on(REQUIRE_WHERE):
                self._table.require_condition(self._quals(quals))
            scan = self._table.open_scan(
                self._quals(quals),
                self._names.columns(self._columns),
                self._sort_keys(sortkeys),
                None,
                is_changed,
                named,
            )
            while batch := scan.next_batch():
                for row in batch:
                    yield dict(zip(self._columns, row, strict=True))
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - any other would end the backend
            raise_plain(error)

    def _is_changed(self, columns: Sequence[str]) -> bool:
        """Return True if the statement that reads these columns changes the rows."""
        run = host.executor_run()
        return run is not None and run == self._changed_by and (not columns or self._rowid in columns)

    def _quals(self, quals: Sequence[object], *, explaining: bool = False) -> list[Qual]:
        return self._names.quals(translate_quals(quals, explaining=explaining))

    def _sort_keys(self, sortkeys: Sequence[Any] | None) -> list[SortKey]:
        return self._names.sort_keys(translate_sort_keys(sortkeys))

    # -- writing --------------------------------------------------------------------------------------------

    @property
    def rowid_column(self) -> str:
        """The column that identifies a row: the whole object, where the table has it.

        Multicorn asks when a statement that changes rows begins: its scans of them must ask Stripe.
        """
        self._changed_by = host.executor_run()
        return self._rowid

    @guarded
    def insert(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """Create an object; columns that were not given are None, as are those set to NULL."""
        return self._table_row(
            self._table.insert_row(self._names.catalog_row(values), _ANSWERED, RequestCost())
        )

    @guarded
    def update(self, rowid: object, values: dict[str, Any]) -> dict[str, Any] | None:
        """Change an object; ``values`` has all columns, also those that were not set."""
        new = self._names.catalog_row(values)
        if isinstance(self._table, RowidResourceTable):
            return self._table_row(self._table.update_by_rowid(rowid, new))
        return self._table_row(
            self._table.update_row({self._rowid: rowid}, new, _ANSWERED, RequestCost()) or None
        )

    @guarded
    def delete(self, rowid: object) -> None:
        """Delete an object."""
        if isinstance(self._table, RowidResourceTable):
            self._table.delete_by_rowid(rowid)
        else:
            self._table.delete_row({self._rowid: rowid}, True, RequestCost())

    def _table_row(self, row: Row | None) -> Row | None:
        return None if row is None else self._names.table_row(row)

    @guarded
    def end_modify(self) -> None:
        """Wait for what is under way: the statement writes no more rows."""
        self._table.end_modify()

    # -- transactions ---------------------------------------------------------------------------------------

    @guarded
    def pre_commit(self) -> None:
        """Finish what is under way before the transaction commits."""
        session.pre_commit()

    @never_raises
    def commit(self) -> None:
        """Forget the transaction: it is committed."""
        session.commit()

    @never_raises
    def rollback(self) -> None:
        """Warn of what a rolled-back transaction leaves changed in Stripe."""
        session.rollback()

    @never_raises
    def sub_commit(self, level: int) -> None:
        """Count what was written since a savepoint to the level above."""
        session.sub_commit(level)

    @never_raises
    def sub_rollback(self, level: int) -> None:
        """Warn of what was changed in Stripe since a savepoint that is rolled back to."""
        session.sub_rollback(level)

    # -- IMPORT FOREIGN SCHEMA ------------------------------------------------------------------------------

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
        """Return the table definitions of an IMPORT FOREIGN SCHEMA, in Multicorn's classes.

        Only here does Multicorn show the server's options without those of a table.
        """
        # The user mapping's options come with the server's.
        validate_options("server", {k: v for k, v in _own(srv_options).items() if k not in KEYS})
        restriction: import_schema.Restriction = None
        if restriction_type:
            restriction = "limit to" if "limit" in restriction_type else "except"
        tables = import_schema.imported_tables(schema, options, restriction, list(restricts or ()))
        return [_table_definition(table) for table in tables]


def _own(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options without the one that names the wrapper class to Multicorn."""
    return {name: value for name, value in options.items() if name != "wrapper"}


def _table_definition(table: import_schema.ImportedTable) -> Any:
    multicorn = import_module("multicorn")
    columns = [
        # Multicorn has no attribute for it, and writes the type into its statement as it is.
        multicorn.ColumnDefinition(
            name, type_name=f"{type_name} NOT NULL" if name in table.not_null else type_name
        )
        for name, type_name in table.columns
    ]
    return multicorn.TableDefinition(table.name, columns=columns, options=table.options)
