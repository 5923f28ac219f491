"""The host: the program that runs the wrapper inside Postgres, as the wrapper sees it.

``bundled`` is this package's own C extension, ``multicorn2`` is Multicorn2, and ``standalone`` is a Python
process without a server, such as a unit test. Which of them runs is decided where a ``Session`` is made.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Protocol


class ColumnDefinition(Protocol):
    """A column of the foreign table, as the host describes it."""

    column_name: str
    type_name: str  # as format_type() prints it
    type_oid: int
    typmod: int


class Host(Protocol):
    """What the wrapper needs of the server. All methods are for the backend's main thread only."""

    renders_text: bool
    """True if the host reads every value through its type's input function."""

    def check_interrupts(self) -> None:
        """Raise ``Interrupted`` if the query is cancelled or timed out, or its backend terminated. Cheap."""

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        """Show a WARNING to the client, also while a transaction ends; do nothing while the session ends."""

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


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _detect() -> Host:
    server = _module("_stripe_fdw_host")
    if server is not None:
        from stripe_fdw.fdw.backend.bundled import BundledHost

        return BundledHost(server)
    if _module("multicorn") is not None:
        from stripe_fdw.fdw.backend import multicorn2

        if multicorn2.inside_server():
            return multicorn2.Multicorn2Host()
    from stripe_fdw.fdw.backend.standalone import StandaloneHost

    return StandaloneHost()


host: Host = _detect()
"""The host of this process."""


def check_interrupts() -> None:
    """Raise ``Interrupted`` if the host says so."""
    host.check_interrupts()


def warn(message: str, detail: str | None = None, hint: str | None = None) -> None:
    """Show a WARNING to the client."""
    host.warn(message, detail, hint)


def executor_run() -> int | None:
    """Return the number of the innermost executor run, or None outside of any."""
    return host.executor_run()


def renders_text() -> bool:
    """Return True if the host reads every value through its type's input function."""
    return host.renders_text


def transaction_level() -> int:
    """Return 1 in a transaction without savepoints, and one more for each savepoint."""
    return host.transaction_level()


def error_is_caught() -> bool:
    """In a rollback: return True if an exception block caught the error."""
    return host.error_is_caught()


def is_cancelled() -> bool:
    """In the rollback of an unfinished statement: return True if it was cancelled."""
    return host.is_cancelled()


def enter_run(number: int) -> None:
    """Take note of the executor run that calls, as the bundled host numbers it."""
    host.enter_run(number)  # type: ignore[attr-defined]


def ended_runs() -> list[int]:
    """Return the executor runs that have ended since the last call, of a host that does not say."""
    ended: list[int] = host.ended_runs() if hasattr(host, "ended_runs") else []
    return ended


def transaction_id() -> int | None:
    """Return when the transaction started, of a host that does not say when it ends."""
    started: int | None = host.transaction_started() if hasattr(host, "transaction_started") else None
    return started
