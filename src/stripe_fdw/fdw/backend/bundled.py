"""The bundled host: this package's C extension (``host/c``), with its builtin module ``_stripe_fdw_host``."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType


class BundledHost:
    """The server, as the C extension's builtin module gives it to Python, under PG_TRY."""

    renders_text = False

    def __init__(self, server: ModuleType) -> None:
        """Take the builtin module ``_stripe_fdw_host``."""
        self._server = server
        self._executor_run: int | None = None
        self.data_directory: Path | None = Path(os.fsdecode(server.data_directory))
        self.database_oid: int | None = server.database_oid
        self.database_encoding: str = server.database_encoding
        self.check_interrupts = server.check_interrupts
        self.warn = server.warning
        self.notice = server.notice
        self.is_on = server.is_on
        self.transaction_level = server.transaction_level
        self.error_is_caught = server.error_is_caught
        self.is_cancelled = server.is_cancelled

    def enter_run(self, number: int) -> None:
        """Take note of the executor run that calls. The C extension gives each its number."""
        self._executor_run = number

    def executor_run(self) -> int | None:
        """Return the number of the executor run that called last, or None before the first."""
        return self._executor_run
