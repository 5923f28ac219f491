"""The error of an installation into a database, and what a database reports."""

from __future__ import annotations

import psycopg

from stripe_fdw import sqlstates
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redaction import redact


class InstallError(StripeFdwError):
    """The installation failed, and nothing was changed."""

    default_sqlstate = sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE


def database_message(error: psycopg.Error) -> str:
    """Return what the database reported, without the statement that it was about: that may be very long."""
    return redact((error.diag.message_primary or str(error)).strip())
