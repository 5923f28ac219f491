"""``stripe-fdw host``: the bundled host's installation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stripe_fdw.cli.output import out, say
from stripe_fdw.host import check as checks
from stripe_fdw.host.install import install as install_host
from stripe_fdw.host.postgres_installation import PostgresInstallation

app = typer.Typer(help="The extension that runs the wrapper inside Postgres.", no_args_is_help=True)

PgConfig = Annotated[
    str | None, typer.Option(envvar="PG_CONFIG", help="The pg_config of the PostgreSQL in question.")
]
PkgLibDir = Annotated[Path | None, typer.Option(help="Where the module lies, instead of pg_config's folder.")]
ExtensionDir = Annotated[
    Path | None, typer.Option(help="Where control and SQL files lie, instead of pg_config's folder.")
]


@app.command()
def install(
    pg_config: PgConfig = None,
    destdir: Annotated[
        Path | None, typer.Option(help="Put everything below this folder, as a package's build does.")
    ] = None,
    pkglibdir: PkgLibDir = None,
    extensiondir: ExtensionDir = None,
) -> None:
    """Compile the extension for this Python and a PostgreSQL, and install it, unless that is done already."""
    installation = PostgresInstallation(pg_config) if pg_config else PostgresInstallation.find()
    modules = pkglibdir or installation.pkglibdir
    extensions = extensiondir or installation.sharedir / "extension"
    if destdir is not None:
        modules, extensions = (destdir / folder.relative_to("/") for folder in (modules, extensions))
    new = install_host(installation, python=sys.executable, pkglibdir=modules, extensiondir=extensions)
    if new:
        say(f"installed into {modules} and {extensions}; sessions that are open keep the old one")
    else:
        say(f"nothing to do: what is in {modules} is up to date")


@app.command()
def check(pg_config: PgConfig = None, pkglibdir: PkgLibDir = None, extensiondir: ExtensionDir = None) -> None:
    """Say whether the installed extension fits this Python and PostgreSQL; exit code 1 if it does not."""
    installation = PostgresInstallation(pg_config) if pg_config else PostgresInstallation.find()
    results = checks.check(
        installation, python=sys.executable, pkglibdir=pkglibdir, extensiondir=extensiondir
    )
    for result in results:
        out.print(f"{'ok ' if result.good else 'BAD'}  {result.what}: {result.found}", markup=False)
        if result.hint:
            out.print(f"     {result.hint}", markup=False)
    if not all(result.good for result in results):
        raise typer.Exit(1)
