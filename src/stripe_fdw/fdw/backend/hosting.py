"""The host: the program that serves foreign tables inside Postgres, as they see it.

``bundled`` is this package's own C extension, ``multicorn2`` is Multicorn2, and ``standalone`` is a Python
process without a server, such as a unit test. Which of them runs is decided where a ``Session`` is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

DRY_RUN: Final = "stripe_fdw.dry_run"
"""The setting with which writes show what they would send, and send nothing."""

REQUIRE_WHERE: Final = "stripe_fdw.require_where"
"""The setting with which UPDATE and DELETE need a condition that Stripe filters on."""


class ColumnDefinition(Protocol):
    """A column of the foreign table, as the host describes it."""

    column_name: str
    type_name: str  # as format_type() prints it
    type_oid: int
    typmod: int

    @property
    def options(self) -> Mapping[str, str]:
        """The column's own options."""


Definitions = Mapping[str, ColumnDefinition]
"""The foreign table's columns by name."""

Row = dict[str, Any]
"""The values of a row by column, as a host gives and takes a row that is written."""


class Host(Protocol):
    """What foreign tables need of the server. All methods are for the backend's main thread only."""

    renders_text: bool
    """True if the host reads every value through its type's input function."""
    data_directory: Path | None
    """The server's data directory; None where there is no server."""
    database_oid: int | None
    """The OID of the session's database; None where there is no server."""
    database_encoding: str
    """The encoding of the session's database, by Postgres's name."""

    def check_interrupts(self) -> None:
        """Raise ``Interrupted`` if the query is cancelled or timed out, or its backend terminated. Cheap."""

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        """Show a WARNING to the client, also while a transaction ends; do nothing while the session ends."""

    def notice(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        """Show a NOTICE to the client."""

    def is_on(self, name: str) -> bool:
        """Return True if the setting of this name is on, such as ``DRY_RUN``.

        Raises:
            OptionError: its value is none of a boolean. Only where the host leaves it unchecked.
        """

    def executor_run(self) -> int | None:
        """Return the number of the innermost executor run, or None outside of any."""

    def transaction_level(self) -> int:
        """Return 1 in a transaction without savepoints, one more for each savepoint or exception block."""

    def error_is_caught(self) -> bool:
        """In a rollback: return True if an exception block, such as PL/pgSQL's, caught the error.

        The client may then never see the error's text.
        """

    def is_cancelled(self) -> bool:
        """In a rollback amid a statement: return True if it was cancelled, or the session ends."""
