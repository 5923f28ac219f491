"""The error of an installation into a database."""

from __future__ import annotations

from stripe_fdw.errors import StripeFdwError


class InstallError(StripeFdwError):
    """The installation failed, and nothing was changed."""

    default_sqlstate = "55000"  # object_not_in_prerequisite_state
