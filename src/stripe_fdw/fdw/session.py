"""What variables of the server's say of this session: how deep in savepoints it is, and where an error goes.

Both are exported by the server for its extensions (access/xact.h, utils/elog.h).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from stripe_fdw.fdw import hosting


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
