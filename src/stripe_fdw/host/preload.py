"""What a Postgres server loads before it starts sessions, if ``shared_preload_libraries`` names stripe_fdw.

The C extension imports this module in the postmaster, so that sessions, which are its forks, have imported
it already. Nothing here may belong to a session or database: no connection, thread or ``_stripe_fdw_host``.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

from stripe_fdw import version
from stripe_fdw.catalog import load
from stripe_fdw.host.package_files import build_identity, identity_of
from stripe_fdw.host.sql_errors import HostError

LOADED_BY_BACKENDS: Final = (
    "stripe_fdw.host.bridge",
    "stripe_fdw.fdw.tables.factory",
    "stripe_fdw.fdw.tables.functions",
    "stripe_fdw.fdw.tables.lost_writes",
    "stripe_fdw.fdw.tables.written",
    "stripe_fdw.fdw.writing.table_writer",
    "encodings.idna",  # of the socket module, with the first address
)
"""The modules that sessions import, with what these import."""

_PACKAGE: Final = Path(version.__file__)


_LOADED: Final = identity_of(_PACKAGE)

for _name in LOADED_BY_BACKENDS:
    import_module(_name)
load()
build_identity()


def check_package() -> None:
    """Refuse to go on after another version of the package has been installed.

    A session would import what it still lacks from that version, beside what the postmaster has loaded.

    Raises:
        HostError: the package's files are not those that the server loaded when it started.
    """
    if identity_of(_PACKAGE) != _LOADED:
        raise HostError(
            "the stripe-fdw package was installed anew after the server had started",
            hint='shared_preload_libraries loads it at the start: run "stripe-fdw host install", '
            "then restart the server.",
        )
