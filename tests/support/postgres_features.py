"""What builds of Postgres may lack, so that tests that need it are skipped with the reason."""

from __future__ import annotations

import pytest

from stripe_fdw.host.postgres_installation import PostgresError, PostgresInstallation


def has_icu() -> bool:
    """Return True if this build has the collations of ICU, as all of Debian's have."""
    try:
        installation = PostgresInstallation.find()
        configured = installation.show("configure")
    except PostgresError:
        return True  # the tests themselves say that there is no Postgres
    return "--without-icu" not in configured if installation.major >= 16 else "--with-icu" in configured


NEEDS_ICU = pytest.mark.skipif(not has_icu(), reason="this Postgres is built without ICU's collations")
