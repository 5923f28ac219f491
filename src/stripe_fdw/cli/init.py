"""``stripe-fdw init``: install everything into a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from stripe_fdw.checks.finding import Finding, Status
from stripe_fdw.checks.run import run_checks
from stripe_fdw.checks.subject import Subject
from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.check import finding_lines, summary
from stripe_fdw.cli.output import JsonOption, out, print_json, say
from stripe_fdw.copies.install import install_copies, installed_resources
from stripe_fdw.copies.yielding import in_yielding_transaction
from stripe_fdw.database.connection_hints import connection_hint
from stripe_fdw.database.errors import InstallError, database_error, database_message
from stripe_fdw.database.install import HostName, InstallPlan, install_into
from stripe_fdw.database.key_check import CheckedKey, RefusedKeyError, check_key, has_key
from stripe_fdw.database.queries import catalog_names
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import choose_names, installed_servers
from stripe_fdw.database.session import open_session
from stripe_fdw.database.user_mapping import place_of_key
from stripe_fdw.errors import OptionError
from stripe_fdw.settings import settings


def init(
    host: Annotated[
        HostName, typer.Option(help="The extension that runs stripe-fdw inside Postgres.")
    ] = "bundled",
    server: Annotated[str, typer.Option(help="The foreign server's name.")] = "stripe",
    schema: Annotated[
        str | None,
        typer.Option(
            help="The schema of the server's views, with SCHEMA_live and SCHEMA_copy beside it;"
            " `stripe`, if none is given."
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file on the database host that contains the key.")
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(help="A variable of the database server's environment that contains the key."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="A server option, name=value; may be given more than once.")
    ] = None,
    copies: Annotated[
        list[str] | None,
        typer.Option(help="A table to copy; `all` for every table; may be given more than once."),
    ] = None,
    without_live: Annotated[
        bool, typer.Option("--without-live", help="Do not install the server and the foreign tables.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not check the key and what was installed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Install or update everything in the database that DATABASE_URL names, local copies where there are any.

    The API key is taken from STRIPE_API_KEY, or from STRIPE_API_KEY_NAME for a server of another name.
    It is stored in the user mapping, unless --api-key-file or --api-key-env names its place on the
    database host.
    """
    env = settings()
    url = database_url()
    options = dict(_name_and_value(item) for item in option or [])
    if env.stripe_api_base:
        options.setdefault("api_base", env.stripe_api_base)
    key_options = {
        "api_key_file": str(api_key_file) if api_key_file else None,
        "api_key_env": api_key_env,
    }
    mapping = {name: value for name, value in key_options.items() if value}
    if len(mapping) > 1:
        raise OptionError("--api-key-file and --api-key-env cannot be used together")
    changes: list[str] = []
    checked: list[CheckedKey] = []
    lacks_mapping, kept_place = False, None
    try:
        with open_session(url) as connection:
            with catalog_names(connection):
                schemas = choose_names(connection, server, schema)
                others = [item for item in installed_servers(connection) if item != schemas]
            if not mapping and (key := env.key_of(schemas.key_variable)):
                kept_place = place_of_key(connection, server)
                mapping = {} if kept_place else {"api_key": key}
            plan = InstallPlan(host, server, options, mapping, live=not without_live, schema=schemas.views)

            def install() -> None:
                nonlocal lacks_mapping
                changes[:] = install_into(connection, plan)
                with catalog_names(connection):
                    lacks_mapping = plan.live and not has_key(connection, server)
                    if plan.live and not no_check and not lacks_mapping:
                        checked[:] = [_check_key(connection, schemas)]
                    installed = installed_resources(connection, schemas)
                if copied := [*installed, *(copies or [])]:
                    changes.extend(install_copies(connection, schemas, None if "all" in copied else copied))

            # It gives way: a deadlock would end the transaction of a user whose writes Stripe has already.
            in_yielding_transaction(connection, install, lambda: None)
    except psycopg.Error as error:
        raise database_error(error, "Nothing was changed." + _hint(error)) from None
    if not as_json:
        for line in changes or ["nothing to do"]:
            out.print(line, markup=False)
    for line in _remarks(plan, others, kept_place, checked):
        say(line)
    findings: list[Finding] | None = None
    if not no_check:
        findings = _say_findings(url, schemas, checked[0] if checked else None)
    elif lacks_mapping:
        say(
            f"no API key was given in {schemas.key_variable}: create a user mapping before the first query"
            " (docs/how-to/keys.md)"
        )
    if as_json:
        print_json(
            {
                "server": server,
                "api_base": plan.api_base if plan.live else None,
                "changes": changes,
                "account": checked[0].account if checked else None,
                "checks": None if findings is None else [asdict(finding) for finding in findings],
            }
        )


def _remarks(
    plan: InstallPlan, others: list[Schemas], kept_place: str | None, checked: list[CheckedKey]
) -> Iterator[str]:
    """Yield what is said beside the changes; ``kept_place`` is the option that was kept in place of a key."""
    for other in others:
        yield f"server {other.server} is brought up to date by its own: stripe-fdw init{other.option}"
    if plan.live:
        yield f"requests of server {plan.server} go to {plan.api_base}"
    if plan.live and kept_place:
        yield (
            f"the user mapping keeps its {kept_place}: the key in {plan.schemas.key_variable} is not stored;"
            " DROP USER MAPPING first, to have it stored"
        )
    for key in checked:
        yield (
            f"Stripe accepts the key, of account {key.account}"
            if key.account
            else "Stripe accepts the key, which may not read its own account"
        )


def _say_findings(url: str, schemas: Schemas, key: CheckedKey | None) -> list[Finding] | None:
    """Say what is not as it should be, without a further request to Stripe. What is installed stays.

    Return the findings; None if it could not be checked.
    """
    findings = []
    try:
        with open_session(url) as connection:
            for finding in run_checks([Subject(connection, schemas, key, asks_stripe=False)]):
                findings.append(finding)
                if finding.status is not Status.OK:
                    for line in finding_lines(finding, with_server=False):
                        say(line)
    except psycopg.Error as error:
        say(f"not checked: {database_message(error)}")
        return None
    say(f"{summary(findings)}; to repeat them: stripe-fdw check{schemas.option}")
    return findings


def _check_key(connection: psycopg.Connection, schemas: Schemas) -> CheckedKey:
    try:
        return check_key(connection, schemas)
    except RefusedKeyError as error:
        unchanged = "Nothing was changed; --no-check installs without this request."
        raise InstallError(error.message, hint=f"{error.hint or ''} {unchanged}".strip()) from None


def _hint(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return " Run it as a superuser, or see docs/how-to/install.md for what a superuser does before."
    hint = connection_hint(error)
    return f" {hint}" if hint else ""


def _name_and_value(item: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name:
        raise OptionError(f"--option {item} does not have the form name=value")
    return name, value
