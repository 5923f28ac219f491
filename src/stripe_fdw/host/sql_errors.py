"""Conversion of Python exceptions into the parts of an SQL error."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final, TypeAlias

from stripe_fdw import sqlstates
from stripe_fdw.errors import OptionError, StripeFdwError
from stripe_fdw.redaction import MASK, redact
from stripe_fdw.text_limits import MAX_FRAMES

_MIN_SECRET_LENGTH: Final = 4  # characters: a shorter one is no key, and would mask ordinary words


class HostError(StripeFdwError):
    """A table or session broke its contract with the C code: a bug in this package, not the user's fault."""


SqlErrorParts: TypeAlias = tuple[str, str, str | None, str | None, str | None, str | None, str | None]


def explain_error(error: BaseException) -> SqlErrorParts:
    """Return SQLSTATE, message, detail, hint, context, constraint and column of the SQL error.

    Stripe's error code becomes the name of the violated constraint, its parameter the column. Exceptions
    raised by the methods of ``error`` are caught.
    """
    # By its type alone: isinstance() also reads the object's __class__, which may raise.
    if issubclass(type(error), StripeFdwError):
        return (
            _sqlstate(error),
            _text(_attribute(error, "message")) or _name(error),
            _text(_attribute(error, "detail")),
            _text(_attribute(error, "hint")),
            None,
            _text(_attribute(error, "code")),
            _text(_attribute(error, "param")),
        )
    text = _exception_text(error)
    message = f"Python exception {_name(error)}" + (f": {text}" if text else "")
    return _sqlstate(error), message, None, None, _traceback(error), None, None


def without_values(error: BaseException, options: Mapping[str, str]) -> StripeFdwError:
    """Return the error with the values of the options masked: one of them may be a key."""
    # The longest first: masking a value that another one starts with would leave the rest of the other.
    secrets = sorted({option.strip() for option in options.values()}, key=len, reverse=True)

    def masked(value: object) -> str | None:
        text = _text(value)
        for secret in secrets:
            if text is not None and len(secret) >= _MIN_SECRET_LENGTH:
                text = text.replace(secret, MASK)
        return text

    if not issubclass(type(error), StripeFdwError):
        return HostError(f"the options cannot be checked: Python exception {_name(error)}")
    parts = {name: masked(_attribute(error, name)) for name in ("detail", "hint")}
    return OptionError(
        masked(_attribute(error, "message")) or _name(error), sqlstate=_sqlstate(error), **parts
    )


def _name(error: BaseException) -> str:
    return str(type.__getattribute__(type(error), "__name__"))


def _attribute(error: BaseException, name: str) -> object:
    try:
        return getattr(error, name, None)
    except BaseException:  # noqa: BLE001 - an exception that cannot be read has no such attribute
        return None


def _text(value: object) -> str | None:
    return redact(str.__str__(value)) if isinstance(value, str) and value else None


def _exception_text(error: BaseException) -> str:
    try:
        return redact(str.__str__(str(error)))
    except BaseException as worse:  # noqa: BLE001 - its type is shown instead
        return f"(its text is not available: {_name(worse)})"


def _sqlstate(error: BaseException) -> str:
    own = _attribute(error, "sqlstate") if issubclass(type(error), StripeFdwError) else None
    if isinstance(own, str) and sqlstates.is_error(own):
        return own
    return sqlstates.of_exception(type(error))


def _traceback(error: BaseException) -> str | None:
    """Return the files and lines where it was raised. No values: these may be secret."""
    frames = traceback.extract_tb(BaseException.__getattribute__(error, "__traceback__"))[-MAX_FRAMES:]
    if not frames:
        return None
    return "\n".join(
        f"Python: {'/'.join(PurePath(frame.filename).parts[-2:])}, line {frame.lineno}, in {frame.name}"
        for frame in reversed(frames)
    )
