"""The error of an installation into a database."""

from __future__ import annotations

from stripe_fdw import sqlstates
from stripe_fdw.errors import StripeFdwError


class InstallError(StripeFdwError):
    """The installation failed, and nothing was changed."""

    default_sqlstate = sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE
