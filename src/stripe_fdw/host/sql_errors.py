"""What an exception of Python's is in SQL."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final, TypeAlias

from stripe_fdw import sqlstates
from stripe_fdw.errors import OptionError, StripeFdwError
from stripe_fdw.redaction import MASK, redact
from stripe_fdw.text_limits import MAX_FRAMES

_SQLSTATES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (MemoryError, sqlstates.OUT_OF_MEMORY),
    (RecursionError, sqlstates.STATEMENT_TOO_COMPLEX),
    (UnicodeEncodeError, sqlstates.CHARACTER_NOT_IN_REPERTOIRE),
)
_SHORTEST_VALUE: Final = 4  # characters: a shorter one is no key, and would mask ordinary words


class WrapperError(StripeFdwError):
    """The wrapper broke its contract with the host: a fault of this package, not of its user."""


Explained: TypeAlias = tuple[str, str, str | None, str | None, str | None, str | None, str | None]


def explain_error(error: BaseException) -> Explained:
    """SQLSTATE, message, detail, hint, context, constraint and column.

    An error of Stripe's gives its code as the constraint that is broken, and its parameter as the column.
    Raises nothing that its argument's methods raise.
    """
    # By the type alone: isinstance() asks the object too.
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
    said = _said(error)
    message = f"Python exception {_name(error)}" + (f": {said}" if said else "")
    return _sqlstate(error), message, None, None, _where(error), None, None


def without_values(error: BaseException, options: Mapping[str, str]) -> StripeFdwError:
    """The same error, but with none of the options' values in it: one of them is a key."""
    # The longest first: a value that begins another one would leave the other's end.
    secrets = sorted({option.strip() for option in options.values()}, key=len, reverse=True)

    def hidden(value: object) -> str | None:
        text = _text(value)
        for secret in secrets:
            if text is not None and len(secret) >= _SHORTEST_VALUE:
                text = text.replace(secret, MASK)
        return text

    if not issubclass(type(error), StripeFdwError):
        return WrapperError(f"the options cannot be checked: Python exception {_name(error)}")
    parts = {name: hidden(_attribute(error, name)) for name in ("detail", "hint")}
    return OptionError(
        hidden(_attribute(error, "message")) or _name(error), sqlstate=_sqlstate(error), **parts
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


def _said(error: BaseException) -> str:
    try:
        return redact(str.__str__(str(error)))
    except BaseException as worse:  # noqa: BLE001 - then its type has to do
        return f"(its text cannot be had: {_name(worse)})"


def _sqlstate(error: BaseException) -> str:
    own = _attribute(error, "sqlstate") if issubclass(type(error), StripeFdwError) else None
    # Classes 00, 01 and 02 are no errors: clients take them for success or a warning.
    if isinstance(own, str) and re.fullmatch(r"(?!0[012])[0-9A-Z]{5}", own):
        return own
    return next((state for kind, state in _SQLSTATES if issubclass(type(error), kind)), sqlstates.FDW_ERROR)


def _where(error: BaseException) -> str | None:
    """Where in the code it was raised: files and lines only, since values may be secret."""
    frames = traceback.extract_tb(BaseException.__getattribute__(error, "__traceback__"))[-MAX_FRAMES:]
    if not frames:
        return None
    return "\n".join(
        f"Python: {'/'.join(PurePath(frame.filename).parts[-2:])}, line {frame.lineno}, in {frame.name}"
        for frame in reversed(frames)
    )
