"""``stripe-fdw verify``: compare copies with Stripe, and repair them."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Final

import psycopg
import typer

from stripe_fdw.catalog.model import Resource
from stripe_fdw.cli.account import ServerOption, copied_account
from stripe_fdw.cli.costs import say_cost
from stripe_fdw.cli.output import err, out, report
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.budget import share_background
from stripe_fdw.copies.compare import Difference
from stripe_fdw.copies.install import check_copies, chosen_resources, installed_resources
from stripe_fdw.copies.lists import NotListedError
from stripe_fdw.copies.verify import Verification, Verifier
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError, database_message
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import NotActivatedError, PermissionDeniedError, StripeFdwError

_SHOWN: Final = 20  # differences of a resource
_WORDS: Final = {
    "missing": "is not in the copy",
    "deleted": "is deleted in the copy only",
    "gone": "is deleted in Stripe",
    "differs": "differs",
    "damaged": "has other values in columns than in _raw",
}


def verify(
    resource: Annotated[
        list[str] | None, typer.Argument(help="Copies to compare; all that there are without any.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Apply what differs to the copies.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Compare about this many objects of each, chosen at random.")
    ] = None,
    confirm_deletions: Annotated[
        bool,
        typer.Option("--confirm-deletions", help="Ask for missing objects even where there are many."),
    ] = False,
    server: ServerOption = None,
) -> None:
    """Compare local copies with Stripe, in the database that DATABASE_URL names.

    The exit code is 1 if something differs and is not repaired.
    """
    copied = copied_account(server)
    url, schemas, client = copied.database_url, copied.schemas, copied.client
    try:
        with open_session(url) as connection:
            resources = _resources(connection, schemas, resource or [])
            check_copies(connection, schemas, resources)
            account = check_account(client, connection, schemas, lambda: None)
            with closing(share_background(client, url, account)), err.status("comparing") as status:

                def progress(name: str, objects: int) -> None:
                    status.update(f"{name}: {counted(objects, 'object')}")

                verifier = Verifier(
                    client, connection, schemas, lambda: None, progress, repair, confirm_deletions
                )
                succeeded = [_verify(verifier, item, sample) for item in resources]
    except psycopg.Error as error:
        raise InstallError(
            f"the database reported an error: {database_message(error)}",
            hint="What was repaired stays. Run it again: it begins anew.",
        ) from None
    if not all(succeeded):
        raise typer.Exit(1)


def _resources(connection: psycopg.Connection, schemas: Schemas, names: list[str]) -> tuple[Resource, ...]:
    installed = installed_resources(connection, schemas)
    if not installed and not names:
        raise InstallError(
            f"server {schemas.server} has no local copies in this database",
            hint=f"Make them: stripe-fdw refresh{schemas.option} customer.",
        )
    chosen = chosen_resources(names or installed)
    for item in chosen:
        if item.name not in installed:
            raise InstallError(
                f"there is no copy of {schemas.label(item.name)}",
                hint=f"Make it: stripe-fdw refresh{schemas.option} {item.name}.",
            )
    return chosen


def _verify(verifier: Verifier, resource: Resource, sample: int | None) -> bool:
    """Compare a resource and print what differs. Return False if that failed, or something still differs."""
    if sample is None:  # which reads no lists inside objects
        say_cost(resource, verifier.connection, verifier.schemas)
    try:
        result = verifier.verify(resource) if sample is None else verifier.sample(resource, sample)
    except (NotListedError, PermissionDeniedError, NotActivatedError) as error:
        out.print(f"{resource.name}: is left out: {error.message}", markup=False)
        return True
    except StripeFdwError as error:
        out.print(f"{resource.name}: failed", markup=False)
        report(error)
        return False
    for line in _lines(resource, result):
        out.print(line, markup=False)
    return len(result.differences) == result.repaired


def _lines(resource: Resource, result: Verification) -> list[str]:
    differing = len(result.differences)
    ending = "all equal" if not differing else f"{differing} {'differs' if differing == 1 else 'differ'}"
    if result.repaired:
        ending += f", {result.repaired} repaired"
    lines = [f"{resource.name}: {counted(result.objects, 'object')} compared, {ending}"]
    lines += [f"  {_text(item)}" for item in result.differences[:_SHOWN]]
    if differing > _SHOWN:
        lines.append(f"  and {differing - _SHOWN} more")
    return lines


def _text(item: Difference) -> str:
    columns = f": {', '.join(item.columns)}" if item.columns else ""
    return f"{item.id} {_WORDS[item.kind]}{columns}"
