"""What a check has found: a status, a line about it, and the statement or command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SHOWN: Final = 5  # names in a line


class Status(StrEnum):
    """How bad it is: a problem keeps something from working, a warning may be meant."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, of a server or of the whole database.

    ``name`` is that of the check, and stays the same from version to version.
    """

    name: str
    status: Status
    message: str
    fix: str | None = None
    server: str | None = None  # None: of the whole database


def ok(name: str, message: str) -> Finding:
    """Return a finding of something that is as it should be."""
    return Finding(name, Status.OK, message)


def warning(name: str, message: str, fix: str | None = None) -> Finding:
    """Return a finding of something that may be meant."""
    return Finding(name, Status.WARNING, message, fix)


def problem(name: str, message: str, fix: str | None = None) -> Finding:
    """Return a finding of something that keeps a part from working."""
    return Finding(name, Status.PROBLEM, message, fix)


def listing(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
