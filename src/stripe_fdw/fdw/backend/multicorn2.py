"""Multicorn2 as a host. It offers Python nothing of the server, so ctypes reads the server's variables.

All that is read is exported for extensions: access/xact.h, miscadmin.h, tcop/tcopprot.h, utils/elog.h,
utils/timestamp.h. An SQL error below Python's frames would end the backend, and nothing here can catch one:
so a function that may raise is called only where it is certain that it does not.
"""

from __future__ import annotations

import codecs
import ctypes
import os
from pathlib import Path
from typing import Protocol

from stripe_fdw import sqlstates
from stripe_fdw.errors import Interrupted, OptionError
from stripe_fdw.fdw.backend.executor_runs import ExecutorRuns
from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.fdw.backend.standalone import StandaloneHost

_NOTICE, _WARNING = 18, 19  # utils/elog.h
# Packed as MAKE_SQLSTATE of elog.h packs it: six bits for each character.
_CANCELED = sum((ord(digit) - 48) << 6 * i for i, digit in enumerate(sqlstates.QUERY_CANCELED))
_CLIENT = 2  # DestRemote: a backend whose errors end at its client
_HELD_TWICE = 2
_UNIX_EPOCH = 946_684_800_000_000  # microseconds from 1970 to 2000, from which Postgres counts
_LATEST = 2**37 * 1_000_000  # microseconds: Postgres can write times for 290,000 years to come


def inside_server() -> bool:
    """Return True if this process is a Postgres backend, whatever modules can be imported in it."""
    return hasattr(ctypes.CDLL(None), "proc_exit_inprogress")


def _exit_at_once() -> None:
    """Let the backend end without the clean-up of libraries that Python's threads still use.

    exit() runs the clean-up of OpenSSL and others while threads go on: the backend crashes, and the server
    restarts. By then Postgres has done all that it does when a session ends. The bundled host does the same
    in C. Only glibc has on_exit(3); elsewhere the danger stays.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)


def showable(text: str) -> str:
    """Return the text with "?" for each character that the database's or the client's encoding lacks.

    Where a message cannot be converted, Multicorn or Postgres reports that instead.
    """
    if text.isascii() or not inside_server():
        return text
    server = ctypes.PyDLL(None)
    for function in (server.GetDatabaseEncodingName, server.pg_get_client_encoding_name):
        function.restype = ctypes.c_char_p
        codec = _codec(function().decode("ascii"))
        text = text.encode(codec, "replace").decode(codec)
    return text


def _codec(encoding: str) -> str:
    """Return Python's codec for an encoding of Postgres; ASCII where there is none by that name."""
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return "ascii"


class MulticornHost(Host, Protocol):
    """What Multicorn2's tables need of a host beside ``Host`` where Multicorn2 does not say it."""

    def ended_runs(self) -> list[int]:
        """Return the executor runs that have ended since the last call."""

    def transaction_started(self) -> int:
        """Return when the transaction started, in microseconds: it distinguishes transactions."""

    def format_time(self, microseconds: int) -> str | None:
        """Return a time, in microseconds since 1970, in the session's DateStyle and TimeZone, if in range."""


class OutsideServer(StandaloneHost):
    """Stands for Multicorn2's host where the wrapper is imported outside a server."""

    def ended_runs(self) -> list[int]:
        """Return none: there is no executor."""
        return []

    def transaction_started(self) -> int:
        """Return 0: there are no transactions."""
        return 0

    def format_time(self, microseconds: int) -> str | None:  # noqa: ARG002 - the protocol's
        """Return None: there is no DateStyle."""
        return None


class Multicorn2Host:
    """The server as far as a wrapper under Multicorn2 can reach it."""

    renders_text = True

    def __init__(self) -> None:
        """Find what is needed of the server. To be called in a backend only (``inside_server``).

        Raises:
            OSError, ValueError, AttributeError: the server does not export what is needed.
        """
        _exit_at_once()
        variables = ctypes.CDLL(None)
        self._functions = ctypes.PyDLL(None)  # keeps the interpreter's lock: none of these calls Python
        self._cancel_pending = ctypes.c_int.in_dll(variables, "QueryCancelPending")
        self._die_pending = ctypes.c_int.in_dll(variables, "ProcDiePending")
        self._interrupt_pending = ctypes.c_int.in_dll(variables, "InterruptPending")
        directory = ctypes.c_char_p.in_dll(variables, "DataDir").value
        self.data_directory: Path | None = None if directory is None else Path(os.fsdecode(directory))
        self.database_oid: int | None = ctypes.c_uint32.in_dll(variables, "MyDatabaseId").value
        self._exiting = ctypes.c_bool.in_dll(variables, "proc_exit_inprogress")
        self._destination = ctypes.c_int.in_dll(variables, "whereToSendOutput")
        self._error_contexts = ctypes.c_void_p.in_dll(variables, "error_context_stack")
        self._query = ctypes.c_void_p.in_dll(variables, "debug_query_string")
        self._interrupts_held = ctypes.c_uint32.in_dll(variables, "InterruptHoldoffCount")
        self._declare()
        self.database_encoding: str = self._functions.GetDatabaseEncodingName().decode("ascii")
        self._runs = _find_runs()
        self.executor_run = self._runs.current if self._runs is not None else self.statement_started
        self._last_statement: int | None = None

    def _declare(self) -> None:
        server = self._functions
        server.GetDatabaseEncodingName.restype = ctypes.c_char_p
        server.GetCurrentTransactionNestLevel.restype = ctypes.c_int
        for name in ("GetCurrentTransactionStartTimestamp", "GetCurrentStatementStartTimestamp"):
            getattr(server, name).restype = ctypes.c_int64
        server.errstart.argtypes = [ctypes.c_int, ctypes.c_char_p]
        server.errstart.restype = ctypes.c_bool
        server.errfinish.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p]
        server.geterrcode.restype = ctypes.c_int
        server.GetConfigOption.argtypes = [ctypes.c_char_p, ctypes.c_bool, ctypes.c_bool]
        server.GetConfigOption.restype = ctypes.c_char_p
        server.parse_bool.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
        server.parse_bool.restype = ctypes.c_bool
        server.DirectFunctionCall1Coll.restype = ctypes.c_void_p
        server.DirectFunctionCall1Coll.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int64]

    def check_interrupts(self) -> None:
        """Raise ``Interrupted`` if the server's flags say so.

        Multicorn's own check_interrupts() leaves Python half way, which crashes later.
        """
        if self._cancel_pending.value:
            raise Interrupted("canceling statement due to user request or statement timeout")
        if self._die_pending.value:
            raise Interrupted(
                "terminating connection due to administrator command", sqlstate=sqlstates.ADMIN_SHUTDOWN
            )

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        """Report a WARNING as ereport() does in C: not every package of Multicorn has log_to_postgres().

        Does nothing while an interrupt is pending or the session ends: the report would not return. While a
        transaction ends only ASCII can be put into any encoding of a server.
        """
        texts = (message, detail, hint)
        self._report(_WARNING, [text.encode("ascii", "backslashreplace") if text else None for text in texts])

    def notice(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        """Report a NOTICE, as ``warn`` does. To be called in the middle of a statement only."""
        codec = _codec(self.database_encoding)
        texts = (message, detail, hint)
        self._report(_NOTICE, [showable(text).encode(codec, "replace") if text else None for text in texts])

    def _report(self, level: int, texts: list[bytes | None]) -> None:
        server = self._functions
        if self._interrupt_pending.value or self._exiting.value or not server.errstart(level, None):
            return
        parts = (server.errmsg_internal, server.errdetail_internal, server.errhint)
        for part, text in zip(parts, texts, strict=True):
            if text:
                part(b"%s", ctypes.c_char_p(text))
        self._interrupts_held.value += 1  # errfinish() serves an interrupt that arrives only now
        server.errfinish(b"multicorn2.py", 0, b"warn")
        self._interrupts_held.value -= 1

    def is_on(self, name: str) -> bool:
        """Return True if a setting is on. Multicorn2 declares none, so Postgres has not checked its value.

        Raises:
            OptionError: the value is none of a boolean.
        """
        value = self._functions.GetConfigOption(name.encode(), True, False)  # NULL where it was never set
        parsed = ctypes.c_bool(False)
        if value and not self._functions.parse_bool(value, ctypes.byref(parsed)):
            raise OptionError(
                f'invalid value for parameter "{name}": "{value.decode("utf-8", "replace")}"',
                hint=f"SET {name} = on, or off.",
                sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
            )
        return parsed.value

    def ended_runs(self) -> list[int]:
        """Return the executor runs that have ended since the last call: Multicorn does not say."""
        if self._runs is not None:
            return self._runs.ended()
        last, self._last_statement = self._last_statement, self.statement_started()
        return [] if last is None or last == self._last_statement else [last]

    def statement_started(self) -> int:
        """Return when the client's statement started, in microseconds."""
        return int(self._functions.GetCurrentStatementStartTimestamp())

    def transaction_started(self) -> int:
        """Return when the transaction started, in microseconds."""
        return int(self._functions.GetCurrentTransactionStartTimestamp())

    def transaction_level(self) -> int:
        """Return 1 in a transaction without savepoints, one more for each savepoint or exception block."""
        return int(self._functions.GetCurrentTransactionNestLevel())

    def error_is_caught(self) -> bool:
        """In a rollback: return True if an exception block, such as PL/pgSQL's, caught the error.

        Where an error reaches the client, the server empties the stack of error contexts and forgets the
        client's query first. PL/Tcl has no error context.
        """
        return bool(self._error_contexts.value or self._query.value)

    def is_cancelled(self) -> bool:
        """In a rollback amid a statement: return True if it was cancelled, or the session ends."""
        if self._exiting.value:
            return True
        # Only then is it certain that there is an error: without one geterrcode() raises. The main loop holds
        # interrupts while it handles an error, and the end of a transaction holds them once more.
        handled = self._interrupts_held.value >= _HELD_TWICE
        if self._destination.value != _CLIENT or self.error_is_caught() or not handled:
            return False
        return bool(self._functions.geterrcode() == _CANCELED)

    def format_time(self, microseconds: int) -> str | None:
        """Return a time, in microseconds since 1970, in the session's DateStyle and TimeZone, if in range."""
        # Beyond the range the function would raise, which must not happen below Python's frames.
        if not 0 <= microseconds < _LATEST:
            return None
        output = ctypes.cast(self._functions.timestamptz_out, ctypes.c_void_p)
        text = self._functions.DirectFunctionCall1Coll(output, 0, microseconds - _UNIX_EPOCH)
        return ctypes.string_at(text).decode("ascii", "replace")


def _find_runs() -> ExecutorRuns | None:
    """Return what distinguishes executor runs; None where the server's memory contexts look different."""
    try:
        return ExecutorRuns()
    except (OSError, ValueError, AttributeError):
        return None
