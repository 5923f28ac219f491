"""What the server says of this session: how deep in savepoints it is, where an error goes, how times look.

All are exported by the server for its extensions (access/xact.h, utils/elog.h, utils/timestamp.h).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from stripe_fdw.fdw.backend import hosting


def _outermost() -> int:
    return 1


def _transaction_level() -> Callable[[], int]:
    if hosting.HOST == "none":
        return _outermost
    # PyDLL keeps the interpreter's lock: the function only reads a variable.
    function = ctypes.PyDLL(None).GetCurrentTransactionNestLevel
    function.restype = ctypes.c_int
    function.argtypes = []
    return function


transaction_level: Callable[[], int] = _transaction_level()
"""1 in a transaction without savepoints, one more for each savepoint or exception block around."""


def _error_is_caught() -> Callable[[], bool]:
    if hosting.HOST == "none":
        return lambda: False
    stack = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "error_context_stack")
    return lambda: bool(stack.value)


error_is_caught: Callable[[], bool] = _error_is_caught()
"""In a rollback: whether it is the work of an exception block, say of PL/pgSQL, inside a statement.

Then nobody may ever read the error. One that reaches the client empties the stack of contexts first.
"""


_CANCELED = sum((ord(sign) - 48) << 6 * at for at, sign in enumerate("57014"))  # as Postgres packs it
_TO_A_CLIENT = 2  # DestRemote: a backend whose errors end at its client


def _nobody_waits() -> Callable[[], bool]:
    if hosting.HOST == "none":
        return lambda: False
    server = ctypes.CDLL(None)
    ending = ctypes.c_bool.in_dll(server, "proc_exit_inprogress")
    where = ctypes.c_int.in_dll(server, "whereToSendOutput")
    code = ctypes.PyDLL(None).geterrcode
    code.restype = ctypes.c_int
    code.argtypes = []

    def known() -> bool:
        if ending.value:
            return True
        # Only then there is an error for certain; without one the function would raise below Python's frames.
        if where.value != _TO_A_CLIENT or error_is_caught():
            return False
        return bool(code() == _CANCELED)

    return known


nobody_waits: Callable[[], bool] = _nobody_waits()
"""In a rollback in the midst of a statement: whether the statement was cancelled, or the session ends.

To be asked only where the statement has not come to its end.
"""


_EPOCH = 946_684_800  # 2000-01-01, from which Postgres counts, in seconds since 1970
_LATEST = 2**37  # seconds: Postgres can write times for 290,000 years to come


def _unknown(microseconds: int) -> None:
    """No server, no style: any time will do."""
    del microseconds


def _time_writer() -> Callable[[int], str | None]:
    if hosting.HOST == "none":
        return _unknown
    server = ctypes.PyDLL(None)
    call = server.DirectFunctionCall1Coll
    call.restype = ctypes.c_void_p
    call.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int64]
    write = ctypes.cast(server.timestamptz_out, ctypes.c_void_p)

    def written(microseconds: int) -> str | None:
        # Beyond these the function would raise, which must not happen below Python's frames.
        if not 0 <= microseconds < _LATEST * 1_000_000:
            return None
        found = call(write, 0, microseconds - _EPOCH * 1_000_000)
        return ctypes.string_at(found).decode("ascii", "replace")

    return written


time_as_written: Callable[[int], str | None] = _time_writer()
"""A time, in microseconds since 1970, as this session writes it (DateStyle, TimeZone); None if not known.

To be called on the session's own thread only.
"""
