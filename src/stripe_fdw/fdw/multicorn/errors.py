"""Exceptions as Multicorn2 can bear them: any but a plain one ends the backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.fdw.backend.multicorn2 import showable
from stripe_fdw.redaction import redact

P = ParamSpec("P")
T = TypeVar("T")


class PlainError(Exception):
    """The only exception that leaves the wrapper: its text is a str, without a cause or arguments."""


def raise_plain(error: BaseException) -> NoReturn:
    """Raise a fresh exception with the error's message, masked."""
    try:
        message = str(error) if isinstance(error, StripeFdwError) else f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - the message cannot be read, so the type stands for it
        message = type(error).__name__
    raise PlainError(showable(redact(message))) from None


def guarded(method: Callable[P, T]) -> Callable[P, T]:
    """Turn every exception of an entry point into a ``PlainError``."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - any other would end the backend
            raise_plain(error)

    return call
