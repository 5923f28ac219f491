"""``stripe-fdw host``: install, check and remove the bundled host."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.output import JsonOption, out, print_json, say
from stripe_fdw.database.errors import InstallError, database_error
from stripe_fdw.database.extension_use import extension_use
from stripe_fdw.host import check as checks
from stripe_fdw.host.install import install as install_host
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_fdw.host.server_user import server_user, try_as
from stripe_fdw.host.uninstall import installed_files
from stripe_fdw.host.uninstall import uninstall as uninstall_host
from stripe_fdw.settings import settings

app = typer.Typer(help="The extension that runs stripe-fdw inside Postgres.", no_args_is_help=True)

PgConfig = Annotated[
    str | None, typer.Option(envvar="PG_CONFIG", help="The pg_config of the PostgreSQL to use.")
]
PkgLibDir = Annotated[Path | None, typer.Option(help="The directory of the module, instead of pg_config's.")]
ExtensionDir = Annotated[
    Path | None, typer.Option(help="The directory of control and SQL files, instead of pg_config's.")
]
ServerUser = Annotated[
    str | None,
    typer.Option(
        "--server-user",
        help="The OS user that the server runs as: `postgres` for root, else the current user.",
    ),
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
    user: ServerUser = None,
    as_json: JsonOption = False,
) -> None:
    """Compile the extension for this Python and a PostgreSQL, and install it, unless it is up to date."""
    installation = PostgresInstallation(pg_config) if pg_config else PostgresInstallation.find()
    modules = pkglibdir or installation.pkglibdir
    extensions = extensiondir or installation.sharedir / "extension"
    if destdir is not None:
        modules, extensions = (destdir / folder.relative_to("/") for folder in (modules, extensions))
    warning, hint = None, None
    if destdir is None:  # a package is built on another machine than the server's
        trial = try_as(server_user(user), sys.executable)
        if trial.failure is not None:
            warning, hint = trial.failure, trial.hint or "Sessions will fail until this is mended."
            say(f"warning: {warning}")
            say(f"  {hint}")
    changed = install_host(installation, python=sys.executable, pkglibdir=modules, extensiondir=extensions)
    if as_json:
        print_json(
            {
                "changed": changed,
                "pkglibdir": str(modules),
                "extensiondir": str(extensions),
                "warning": warning,
                "hint": hint,
            }
        )
    if changed:
        say(f"installed into {modules} and {extensions}; open sessions keep the old version")
    else:
        say(f"nothing to do: the extension in {modules} is up to date")


@app.command()
def uninstall(
    pg_config: PgConfig = None,
    pkglibdir: PkgLibDir = None,
    extensiondir: ExtensionDir = None,
    force: Annotated[
        bool, typer.Option("--force", help="Remove the files though a database still uses them.")
    ] = False,
) -> None:
    """Remove what `host install` has put into a PostgreSQL's folders.

    If DATABASE_URL is set, its server is asked first: while one of its databases has the extension, nothing
    is removed.
    """
    if pkglibdir is None or extensiondir is None:
        installation = (
            PostgresInstallation(pg_config) if pg_config else PostgresInstallation.find(headers=False)
        )
        pkglibdir = pkglibdir or installation.pkglibdir
        extensiondir = extensiondir or installation.sharedir / "extension"
    files = installed_files(pkglibdir, extensiondir)
    if not files:
        out.print(
            f"nothing to do: there is nothing of stripe-fdw in {pkglibdir} and {extensiondir}", markup=False
        )
        return
    refuse_use(pkglibdir, force=force)
    uninstall_host(files)
    for file in files:
        out.print(f"removed {file}", markup=False)


def refuse_use(pkglibdir: Path, *, force: bool) -> None:
    """Raise InstallError if the server that DATABASE_URL names needs the files; say what is not known."""
    if not settings().database_url:
        say(
            "DATABASE_URL is not set, so that no server was asked whether a database has the extension,"
            " or shared_preload_libraries names it"
        )
        return
    try:
        use = extension_use(database_url())
    except psycopg.Error as error:
        if force:
            return
        raise database_error(
            error, "Nothing was removed. Unset DATABASE_URL, or give --force, to remove without asking."
        ) from None
    if use.pkglibdir is not None and Path(use.pkglibdir).resolve() != pkglibdir.resolve():
        say(f"the server of DATABASE_URL has its modules in {use.pkglibdir}, and is not asked")
        return
    for name in use.unknown:
        say(f"it is not known whether this database has the extension: {name}")
    if use.is_preloaded is None:
        say("it is not known whether shared_preload_libraries names stripe_fdw: the role may not see that")
    if force or not (use.databases or use.is_preloaded):
        return
    if use.is_preloaded:
        raise InstallError(
            "the server loads stripe_fdw at its start (shared_preload_libraries), and would not start"
            " without it",
            hint="Nothing was removed. Take it out of shared_preload_libraries, and restart the server.",
        )
    raise InstallError(
        f"the extension stripe_fdw is in use: database {', '.join(use.databases)}",
        hint="Nothing was removed. Run stripe-fdw uninstall for each database first; or give --force.",
    )


@app.command()
def check(
    pg_config: PgConfig = None,
    pkglibdir: PkgLibDir = None,
    extensiondir: ExtensionDir = None,
    user: ServerUser = None,
    as_json: JsonOption = False,
) -> None:
    """Check that the installed extension matches this Python and PostgreSQL, and that the server can load it.

    Start Python as the server's OS user, import the package and map the shared folder. The exit code is 1 if
    something is wrong.
    """
    installation = PostgresInstallation(pg_config) if pg_config else PostgresInstallation.find()
    results = checks.check(
        installation, python=sys.executable, pkglibdir=pkglibdir, extensiondir=extensiondir, user=user
    )
    if as_json:
        print_json([asdict(result) for result in results])
    for result in [] if as_json else results:
        out.print(f"{'ok ' if result.ok else 'BAD'}  {result.subject}: {result.finding}", markup=False)
        if result.hint:
            out.print(f"     {result.hint}", markup=False)
    if not all(result.ok for result in results):
        raise typer.Exit(1)
