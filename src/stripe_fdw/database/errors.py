"""The error of an installation into a database, and what a database reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw import sqlstates
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redaction import redact

_OF_MULTICORN: Final = "Error in python: "
_DETAIL: Final = "DETAIL: "
_HINT: Final = "HINT: "
_STATUS: Final = re.compile(r" answered ([0-9]{3})$", re.MULTILINE)


class InstallError(StripeFdwError):
    """The installation failed, and nothing was changed."""

    default_sqlstate = sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE


def database_error(error: psycopg.Error, hint: str | None = None) -> InstallError:
    """Return what the database reported as an error of this package, with its parts in their places.

    Args:
        error: of the database, or of a connection to it.
        hint: what to do, said after the hint of the database.
    """
    reported = Report.of(error)
    return InstallError(
        f"the database reported an error: {reported.message}",
        detail=reported.detail,
        hint=" ".join(filter(None, (_sentence(reported.hint), hint))) or None,
    )


def _sentence(text: str | None) -> str:
    """Return a text of the database's so that another sentence can follow it."""
    return f"{text}." if text and text[-1] not in ".!?" else text or ""


def database_message(error: psycopg.Error) -> str:
    """Return what the database reported, without the statement that it was about: that may be very long."""
    # A connection that failed has no parts, and several lines that say of each address why.
    return Report.of(error).message if error.diag.message_primary else redact(" ".join(str(error).split()))


@dataclass(frozen=True, slots=True)
class Report:
    """The parts of what a database, or a connection to it, reported, without secrets."""

    message: str
    detail: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, error: psycopg.Error) -> Report:
        """Take the parts. Multicorn2 puts all of a foreign table's into the detail, a line each."""
        diag = error.diag
        message, *further = (diag.message_primary or str(error)).strip().splitlines() or ["no reason given"]
        detail, hint = (diag.message_detail or "").strip(), diag.message_hint
        if message.startswith(_OF_MULTICORN) and detail:
            message, *further = detail.splitlines()
            hint = next((line.removeprefix(_HINT) for line in further if line.startswith(_HINT)), None)
            lines = [line.removeprefix(_DETAIL) for line in further if not line.startswith(_HINT)]
            detail = "\n".join(lines)
        elif not detail:
            # A connection fails with several lines: which address was tried, and why it did not answer.
            detail = " ".join(line.strip() for line in further)
        return cls(redact(message), redact(detail) or None, redact(hint or "") or None)

    @property
    def status(self) -> int | None:
        """The status with which Stripe answered; None if it did not."""
        found = _STATUS.search(self.detail or "")
        return int(found[1]) if found else None
