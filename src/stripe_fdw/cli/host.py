"""``stripe-fdw host``: install and check the bundled host."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stripe_fdw.cli.output import out, say
from stripe_fdw.host import check as checks
from stripe_fdw.host.install import install as install_host
from stripe_fdw.host.postgres_installation import PostgresInstallation

app = typer.Typer(help="The extension that runs stripe-fdw inside Postgres.", no_args_is_help=True)

PgConfig = Annotated[
    str | None, typer.Option(envvar="PG_CONFIG", help="The pg_config of the PostgreSQL to use.")
]
PkgLibDir = Annotated[Path | None, typer.Option(help="The directory of the module, instead of pg_config's.")]
ExtensionDir = Annotated[
    Path | None, typer.Option(help="The directory of control and SQL files, instead of pg_config's.")
]


@app.command()
def install(
    pg_config: PgConfig = None,
    destdir: Annotated[
        Path | None,
        typer.Option(help="A root directory below which everything is installed, to build a package."),
    ] = None,
    pkglibdir: PkgLibDir = None,
    extensiondir: ExtensionDir = None,
) -> None:
    """Compile the extension for this Python and a PostgreSQL, and install it, unless it is up to date."""
    installation = PostgresInstallation(pg_config) if pg_config else PostgresInstallation.find()
    modules = pkglibdir or installation.pkglibdir
    extensions = extensiondir or installation.sharedir / "extension"
    if destdir is not None:
        modules, extensions = (destdir / folder.relative_to("/") for folder in (modules, extensions))
    changed = install_host(installation, python=sys.executable, pkglibdir=modules, extensiondir=extensions)
    if changed:
        say(f"installed into {modules} and {extensions}; open sessions keep the old version")
    else:
        say(f"nothing to do: the extension in {modules} is up to date")


@app.command()
def check(pg_config: PgConfig = None, pkglibdir: PkgLibDir = None, extensiondir: ExtensionDir = None) -> None:
    """Check that the installed extension matches this Python and PostgreSQL; the exit code is 1 if not."""
    installation = PostgresInstallation(pg_config) if pg_config else PostgresInstallation.find()
    results = checks.check(
        installation, python=sys.executable, pkglibdir=pkglibdir, extensiondir=extensiondir
    )
    for result in results:
        out.print(f"{'ok ' if result.ok else 'BAD'}  {result.subject}: {result.finding}", markup=False)
        if result.hint:
            out.print(f"     {result.hint}", markup=False)
    if not all(result.ok for result in results):
        raise typer.Exit(1)
