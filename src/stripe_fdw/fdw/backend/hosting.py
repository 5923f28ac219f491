"""What runs the wrapper: Multicorn2, the bundled host, or nothing (a test). No other module knows which.

What each offers is looked for by name, so that this module can be imported anywhere.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from stripe_fdw.errors import Interrupted
from stripe_fdw.fdw.backend.executor_runs import ExecutorRuns


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_bundled = _module("_stripe_fdw_host")
_multicorn = None if _bundled else _module("multicorn")

HOST = "bundled" if _bundled else "multicorn2" if _multicorn else "none"


def _leave_at_once() -> None:
    """See that the backend, when it ends, does not take down libraries that Python's threads still work with.

    exit() runs the clean-up of OpenSSL and others while threads go on: the backend crashes, and the server
    restarts. By then Postgres has done all that it does when a session ends, so it may leave at once.
    The bundled host does the same itself. Only glibc has on_exit(3); elsewhere the danger stays.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)


if _multicorn is not None:
    _leave_at_once()


class ColumnDefinition(Protocol):
    """A column of the foreign table as the host describes it."""

    column_name: str
    type_name: str  # as format_type() prints it
    type_oid: int
    typmod: int


@dataclass
class PlainColumn:
    """A column definition made by hand, where no host is there."""

    column_name: str
    type_name: str = "text"
    type_oid: int = 0
    typmod: int = -1
    options: dict[str, str] = field(default_factory=dict)


class _PlainForeignDataWrapper:
    """What ``multicorn.ForeignDataWrapper`` is to a wrapper, where Multicorn is not there."""

    def __init__(self, options: dict[str, str], columns: dict[str, Any]) -> None:
        """Nothing to keep."""


if TYPE_CHECKING:
    ForeignDataWrapper = _PlainForeignDataWrapper
else:
    ForeignDataWrapper = getattr(_multicorn, "ForeignDataWrapper", _PlainForeignDataWrapper)


def _nothing() -> None:
    """No host, no interrupts."""


def _multicorn_interrupts() -> Callable[[], None]:
    """Multicorn's own check_interrupts() leaves Python half way, which crashes later. So its flags are read.

    QueryCancelPending and ProcDiePending are variables of the server's (src/backend/utils/init/globals.c).
    """
    try:
        server = ctypes.CDLL(None)
        cancel = ctypes.c_int.in_dll(server, "QueryCancelPending")
        die = ctypes.c_int.in_dll(server, "ProcDiePending")
    except (OSError, ValueError):
        return _nothing

    def check() -> None:
        if cancel.value:
            raise Interrupted("canceling statement due to user request or statement timeout")
        if die.value:
            raise Interrupted("terminating connection due to administrator command", sqlstate="57P01")

    return check


def _find_check() -> Callable[[], None]:
    if _bundled is not None:
        return cast("Callable[[], None]", _bundled.check_interrupts)
    return _multicorn_interrupts() if _multicorn is not None else _nothing


check_interrupts: Callable[[], None] = _find_check()
"""Raises when the query is cancelled, timed out or its backend is ended. Cheap; for the main thread only."""


Warn = Callable[[str, str | None, str | None], None]


_WARNING = 19  # utils/elog.h


def _multicorn_warn() -> Warn:
    """What ereport(WARNING) is in C: Multicorn's log_to_postgres() is not there in each of its packages.

    It must not be used while an interrupt is pending or the session ends: then it would not return. Where a
    transaction ends, only ASCII can be put into any encoding of a server.
    """
    server = ctypes.PyDLL(None)  # keeps the interpreter's lock: nothing of this calls Python
    stops = (
        ctypes.c_int.in_dll(server, "InterruptPending"),
        ctypes.c_bool.in_dll(server, "proc_exit_inprogress"),
    )
    server.errstart.argtypes = [ctypes.c_int, ctypes.c_char_p]
    server.errstart.restype = ctypes.c_bool
    server.errfinish.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p]
    parts = (server.errmsg_internal, server.errdetail_internal, server.errhint)

    def say(*texts: str | None) -> None:
        if any(stop.value for stop in stops) or not server.errstart(_WARNING, None):
            return
        for part, text in zip(parts, texts, strict=True):
            if text is not None:
                part(b"%s", ctypes.c_char_p(text.encode("ascii", "backslashreplace")))
        server.errfinish(b"hosting.py", 0, b"warn")

    return say


def _find_warn() -> Warn:
    if _bundled is not None:
        return cast("Warn", _bundled.warning)
    return _multicorn_warn() if _multicorn is not None else lambda *_: None


_warn = _find_warn()


def warn(message: str, detail: str | None = None, hint: str | None = None) -> None:
    """Show a WARNING to the client, also while its transaction ends; nothing while its session ends."""
    _warn(message, detail, hint)


def _moment(name: str) -> Callable[[], int | None]:
    """A function of the server's that gives a moment in microseconds."""
    if HOST == "none":
        return lambda: None
    try:
        # PyDLL keeps the interpreter's lock: the function only reads a variable.
        function = getattr(ctypes.PyDLL(None), name)
    except (OSError, AttributeError):
        return lambda: None
    function.restype = ctypes.c_int64
    function.argtypes = []
    return cast("Callable[[], int | None]", function)


class Runs(Protocol):
    """What tells executor runs apart."""

    def current(self) -> int | None:
        """The run that calls; None where no host runs."""

    def ended(self) -> list[int]:
        """Runs that have ended since this was last called, if the host does not say so itself."""


class _ToldRuns:
    """The bundled host says which run calls, and when it ends."""

    def __init__(self) -> None:
        self._current: int | None = None

    def enter(self, run: int) -> None:
        self._current = run

    def current(self) -> int | None:
        return self._current

    def ended(self) -> list[int]:
        return []


_told = _ToldRuns()
enter_run: Callable[[int], None] = _told.enter
"""The bundled host says which executor run calls: the number is that run's while it lasts."""


class _Statements:
    """Where nothing tells runs apart: a run is what the client sent, with all that it calls."""

    def __init__(self) -> None:
        self._statement = _moment("GetCurrentStatementStartTimestamp")
        self._last: int | None = None

    def current(self) -> int | None:
        return self._statement()

    def ended(self) -> list[int]:
        last, self._last = self._last, self._statement()
        return [] if last is None or last == self._last else [last]


def _find_runs() -> Runs:
    if HOST != "multicorn2":
        return _told
    try:
        return ExecutorRuns()
    except (OSError, ValueError, AttributeError):
        return _Statements()


_runs = _find_runs()
executor_run: Callable[[], int | None] = _runs.current
"""The executor run that calls; None where no host runs."""

ended_runs: Callable[[], list[int]] = _runs.ended
"""Runs that have ended since this was last called, of a host whose runs end without a word."""

transaction_id: Callable[[], int | None] = _moment("GetCurrentTransactionStartTimestamp")
"""When the transaction started (microseconds), or None where no host runs."""


def renders_text() -> bool:
    """Whether the host reads every value through its type's input function, as Multicorn does."""
    return HOST == "multicorn2"


class PlainError(Exception):
    """All that may leave the wrapper under Multicorn: an exception whose text is a text."""


def needs_plain_errors() -> bool:
    """Whether the host knows no exceptions but the simplest."""
    return HOST == "multicorn2"


def table_definition(name: str, columns: list[tuple[str, str]], options: dict[str, str]) -> Any:
    """Describe a table as Multicorn's IMPORT FOREIGN SCHEMA wants it."""
    if _multicorn is None:
        return PlainTable(name, [PlainColumn(column, type_name) for column, type_name in columns], options)
    definitions = [_multicorn.ColumnDefinition(column, type_name=type_name) for column, type_name in columns]
    return _multicorn.TableDefinition(name, columns=definitions, options=options)


@dataclass
class PlainTable:
    """A table definition where Multicorn is not there."""

    table_name: str
    columns: list[PlainColumn]
    options: dict[str, str]
