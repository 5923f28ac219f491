"""The state of this backend under the bundled host: one session, and the tables opened in it."""

from __future__ import annotations

import importlib.util
import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from msgspec import Struct, field

from stripe_fdw.fdw.backend.bundled import BundledHost
from stripe_fdw.fdw.schema.options import MergedOptions
from stripe_fdw.host.package_files import PackageWatch, check_build
from stripe_fdw.imports import import_permanently

Options = dict[str, str]
Column = tuple[str, str, int, int, Options]
"""A column as C describes it: the fields of ``BundledColumn``."""

_TABLES_KEPT: Final = 500

_test_module: ModuleType | None = None


def start(version: str, test_file: str | None) -> None:
    """Choose whose tables are served: this package's, or those of a module that its own tests compile in.

    ``version`` is what the C extension was compiled from, as ``package_files.build_identity`` names it.
    """
    global _test_module  # noqa: PLW0603 - one interpreter, one set of tables
    check_build(version)
    preload = sys.modules.get("stripe_fdw.host.preload")
    if preload is not None:
        preload.check_package()
    sys.meta_path.insert(0, PackageWatch())
    if test_file is None:
        return
    spec = importlib.util.spec_from_file_location("stripe_fdw_test_tables", test_file)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {test_file}")
    _test_module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = _test_module
    spec.loader.exec_module(_test_module)


def served(module: str, name: str) -> Any:
    """Return a function or class of this package, or its namesake of the module under test."""
    return getattr(_test_module or import_module(module), name)


class BundledColumn(Struct, frozen=True):
    """A column of the foreign table as C describes it: a ``hosting.ColumnDefinition``."""

    column_name: str
    type_name: str
    type_oid: int
    typmod: int
    options: Options = field(default_factory=dict)


class _OpenTable(Struct):
    """A table, what it was opened from, and the count of catalog changes when that was last compared."""

    changes: int
    opened_from: object
    table: Any


class OpenTables:
    """Tables by relation and user. The least recently used are dropped first."""

    def __init__(self, open_table: Callable[..., Any], session: Any) -> None:
        """Start without any."""
        self._open_table = open_table
        self._session = session
        self._tables: OrderedDict[tuple[int, int], _OpenTable] = OrderedDict()

    def __len__(self) -> int:
        """Return how many tables are kept."""
        return len(self._tables)

    def known(self, relid: int, user: int, changes: int) -> Any:
        """Return the table of a user if the catalogs have not changed since it was compared, else None."""
        kept = self._tables.get((relid, user))
        if kept is None or kept.changes != changes:
            return None
        self._tables.move_to_end((relid, user))
        return kept.table

    def get(
        self,
        relid: int,
        user: int,
        changes: int,
        names: tuple[str, str],
        options: tuple[Options, Options, Options, Options],
        mapping_of: tuple[str, str, bool],
        columns: list[Column],
    ) -> Any:
        """Return the table of a user, the same one as long as options and columns stay as they are.

        ``names`` are those of its schema and of the table itself, quoted where SQL needs it.
        ``options`` are those of foreign data wrapper, table, server and user mapping; the later win.
        ``mapping_of`` names the role and the server whose user mapping that is, and says if the role has
        USAGE on the server.
        """
        opened_from = (names, options, mapping_of, columns)
        kept = self._tables.get((relid, user))
        if kept is not None and kept.opened_from == opened_from:
            kept.changes = changes
            self._tables.move_to_end((relid, user))
            return kept.table
        merged = MergedOptions({key: value for part in options for key, value in part.items()})
        merged.schema, merged.table = names
        merged.role, merged.server, merged.has_usage = mapping_of
        definitions = {column[0]: BundledColumn(*column) for column in columns}
        table = self._open_table(self._session, merged, definitions)
        self._tables[relid, user] = _OpenTable(changes, opened_from, table)
        self._tables.move_to_end((relid, user))
        if len(self._tables) > _TABLES_KEPT:
            self._tables.popitem(last=False)
        return table


class Backend:
    """The host, session and tables of one backend."""

    def __init__(self) -> None:
        """Load the modules that open tables."""
        if _test_module is None:
            import_permanently("stripe_fdw.fdw.tables.factory")
        self.host = BundledHost(import_module("_stripe_fdw_host"))
        self.session = served("stripe_fdw.fdw.session", "Session")(self.host)
        self.tables = OpenTables(served("stripe_fdw.fdw.tables.factory", "open_table"), self.session)


@cache
def backend() -> Backend:
    """Return this process's backend, made with the first table."""
    return Backend()
