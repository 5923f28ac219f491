"""Executor runs distinguished by their memory contexts, for Multicorn2, which does not report their end.

Each run works in a memory context of its own, named "ExecutorState". The current one is found by following
the parents of ``CurrentMemoryContext``, and a reset callback on it says when the run has ended: it is
``sem_post``, so that Postgres, in the middle of freeing memory, runs no Python. Both are public to extensions
in src/include/nodes/memnodes.h, and MemoryContextRegisterResetCallback() of utils/palloc.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from itertools import count
from typing import Final

_SEMAPHORE_BYTES: Final = 64  # sem_t takes 32 with glibc, 16 with musl
_NAME: Final = b"ExecutorState"


class _Context(ctypes.Structure):
    """MemoryContextData, as PostgreSQL 13 to 18 have it."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("is_reset", ctypes.c_bool),
        ("allow_in_critical_section", ctypes.c_bool),
        ("allocated", ctypes.c_size_t),
        ("methods", ctypes.c_void_p),
        ("parent", ctypes.c_void_p),
        ("first_child", ctypes.c_void_p),
        ("previous_child", ctypes.c_void_p),
        ("next_child", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
    )


class _Callback(ctypes.Structure):
    """MemoryContextCallback."""

    _fields_ = (("function", ctypes.c_void_p), ("argument", ctypes.c_void_p), ("next", ctypes.c_void_p))


class _Run:
    """A run not yet known to have ended. Postgres holds pointers into it until then."""

    def __init__(self, number: int, server: ctypes.PyDLL) -> None:
        self.number = number
        self.semaphore = ctypes.create_string_buffer(_SEMAPHORE_BYTES)
        if server.sem_init(self.semaphore, 0, 0) != 0:
            raise OSError("no semaphores")
        function = ctypes.cast(server.sem_post, ctypes.c_void_p)
        argument = ctypes.cast(self.semaphore, ctypes.c_void_p)
        self.callback = _Callback(function, argument, None)


class ExecutorRuns:
    """The executor runs of this backend that scanned foreign tables of Stripe.

    Raises OSError, ValueError or AttributeError where the server or the system lacks what is needed.
    """

    def __init__(self) -> None:
        # PyDLL keeps the interpreter's lock, which Postgres's functions never need.
        self._server = ctypes.PyDLL(None)
        self._current = ctypes.c_void_p.in_dll(self._server, "CurrentMemoryContext")
        self._register: Callable[..., object] = self._server.MemoryContextRegisterResetCallback
        self._register.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._register.restype = None
        self._runs: dict[int, _Run] = {}  # by the address of their context
        self._ended: list[int] = []
        self._numbers = count(1)
        top = ctypes.c_void_p.in_dll(self._server, "TopMemoryContext")
        if _Context.from_address(top.value or 0).name != b"TopMemoryContext":
            raise OSError("memory contexts of this server look different")
        _Run(0, self._server)

    def current(self) -> int | None:
        """Return the number of the innermost run, or None outside of any."""
        address = self._current.value
        while address:
            context = _Context.from_address(address)
            if context.name == _NAME:
                return self._number(address)
            address = context.parent
        return None

    def _number(self, address: int) -> int:
        self._sweep()
        run = self._runs.get(address)
        if run is None:
            run = self._runs[address] = _Run(next(self._numbers), self._server)
            self._register(address, ctypes.addressof(run.callback))
        return run.number

    def ended(self) -> list[int]:
        """Return the runs that have ended since the last call."""
        self._sweep()
        ended, self._ended = self._ended, []
        return ended

    def _sweep(self) -> None:
        for address, run in list(self._runs.items()):
            if self._server.sem_trywait(run.semaphore) == 0:
                self._ended.append(run.number)
                del self._runs[address]
