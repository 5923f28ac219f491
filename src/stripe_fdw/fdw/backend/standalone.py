"""The host where there is no server: unit tests, the command line, documentation tools."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field


class PlainColumn(Struct):
    """A column definition made by hand."""

    column_name: str
    type_name: str = "text"
    type_oid: int = 0
    typmod: int = -1
    options: dict[str, str] = field(default_factory=dict)


class StandaloneHost:
    """A host without interrupts, transactions or a client."""

    renders_text = False
    data_directory: Path | None = None
    database_oid: int | None = None
    database_encoding: str = "UTF8"

    def check_interrupts(self) -> None:
        """Do nothing: there is no query to cancel."""

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        """Do nothing: there is no client."""

    def notice(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        """Do nothing: there is no client."""

    def is_on(self, name: str) -> bool:  # noqa: ARG002 - the protocol's
        """Return False: there are no settings."""
        return False

    def executor_run(self) -> int | None:
        """Return None: there is no executor."""
        return None

    def transaction_level(self) -> int:
        """Return 1: there are no savepoints."""
        return 1

    def error_is_caught(self) -> bool:
        """Return False: there are no exception blocks."""
        return False

    def is_cancelled(self) -> bool:
        """Return False: there is no query to cancel."""
        return False
