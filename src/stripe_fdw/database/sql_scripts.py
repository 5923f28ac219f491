"""The package's SQL scripts, from ``sql/`` at the top of the repository."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import psycopg


def read_scripts(*folder: str) -> Iterator[str]:
    """Yield the scripts in ``sql/``, or in a folder of it, in the order of their names."""
    files = resources.files("stripe_fdw").joinpath("sql", *folder).iterdir()
    for script in sorted(files, key=lambda file: file.name):
        if script.name.endswith(".sql"):
            yield script.read_text(encoding="utf-8")


def run_scripts(connection: psycopg.Connection, *folder: str) -> None:
    """Run the scripts in ``sql/``, or in a folder of it, in the order of their names."""
    for script in read_scripts(*folder):
        connection.execute(script.encode())
