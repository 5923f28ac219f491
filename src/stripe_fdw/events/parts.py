"""A batch that fails as a whole is applied in parts: the event that causes it holds up no other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import psycopg

from stripe_fdw.database.errors import database_message
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.events.event import Event

# What the database says of a value, such as one that is too long for an index. Other errors are about itself.
_OF_VALUES: Final = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)


def may_be_of_an_event(error: Exception) -> bool:
    """Return True if what an event holds may have caused the error, and not the database or Stripe."""
    return isinstance(error, _OF_VALUES) or not isinstance(error, (psycopg.Error, StripeFdwError))


def apply_by_parts(
    events: Sequence[Event],
    apply: Callable[[Sequence[Event]], object],
    fail: Callable[[Event, str], object],
) -> None:
    """Apply events in ever smaller parts, each in a transaction of its own.

    Args:
        events: in their order, which is kept.
        apply: applies a part, or changes nothing.
        fail: is called with each event that fails by itself, and the error.

    Raises what is not caused by an event.
    """
    if not events:
        return
    try:
        apply(events)
    except Exception as error:
        if not may_be_of_an_event(error):
            raise
        if len(events) == 1:
            fail(events[0], _reason(error))
            return
        half = len(events) // 2
        apply_by_parts(events[:half], apply, fail)
        apply_by_parts(events[half:], apply, fail)


def _reason(error: Exception) -> str:
    if isinstance(error, psycopg.Error):
        return database_message(error)
    return f"it has not the form of Stripe's events ({type(error).__name__})"
