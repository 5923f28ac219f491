"""The package's SQL scripts, from ``sql/`` at the top of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Final

import psycopg

from stripe_fdw.sql_quoting import quote_identifier, quote_literal

_VARIABLE: Final = re.compile(r"""(?<!:):(["'])([a-z]+)\1""")  # not a cast


def read_scripts(*folder: str) -> Iterator[str]:
    """Yield the scripts in ``sql/``, or in a folder of it, in the order of their names."""
    files = resources.files("stripe_fdw").joinpath("sql", *folder).iterdir()
    for script in sorted(files, key=lambda file: file.name):
        if script.name.endswith(".sql"):
            yield script.read_text(encoding="utf-8")


def run_scripts(
    connection: psycopg.Connection, *folder: str, variables: Mapping[str, str] | None = None
) -> None:
    """Run the scripts in ``sql/``, or in a folder of it, in the order of their names.

    ``variables`` stand in them as in psql: ``:"name"`` for an identifier, ``:'name'`` for a literal.
    """
    for script in read_scripts(*folder):
        connection.execute(substitute(script, variables or {}).encode())


def substitute(script: str, variables: Mapping[str, str]) -> str:
    """Return a script with the values of its variables."""

    def value(match: re.Match[str]) -> str:
        text = variables[match[2]]
        return quote_identifier(text) if match[1] == '"' else quote_literal(text)

    return _VARIABLE.sub(value, script)
