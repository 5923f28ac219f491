"""``stripe-fdw verify``: compare copies with Stripe, and repair them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

import psycopg
import typer

from stripe_fdw.catalog.model import Resource
from stripe_fdw.cli.account import ServerOption, copied_account
from stripe_fdw.cli.costs import say_cost, say_limit
from stripe_fdw.cli.output import JsonOption, err, out, print_json, report
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.budget import share_background
from stripe_fdw.copies.compare import Difference
from stripe_fdw.copies.install import check_copies, chosen_resources, installed_resources
from stripe_fdw.copies.lists import NotListedError
from stripe_fdw.copies.verify import Verification, Verifier
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError, database_error
from stripe_fdw.database.installed_parts import schemas_of_copies
from stripe_fdw.database.ownership import refuse_to_superuser
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
    as_json: JsonOption = False,
) -> None:
    """Compare local copies with Stripe, in the database that DATABASE_URL names.

    The exit code is 1 if something differs and is not repaired.
    """
    copied = copied_account(server)
    url, schemas, client = copied.database_url, copied.schemas, copied.client
    try:
        with open_session(url) as connection:
            refuse_to_superuser(connection, schemas_of_copies([schemas]))
            resources = _resources(connection, schemas, resource or [])
            check_copies(connection, schemas, resources)
            account = check_account(client, connection, schemas, lambda: None)
            say_limit(client)
            with closing(share_background(client, url, account)), err.status("comparing") as status:

                def progress(name: str, objects: int) -> None:
                    status.update(f"{name}: {counted(objects, 'object')}")

                verifier = Verifier(
                    client, connection, schemas, lambda: None, progress, repair, confirm_deletions
                )
                results = []
                for item in resources:
                    results.append(_verify(verifier, item, sample))
                    if not as_json:
                        _print(results[-1])
    except psycopg.Error as error:
        raise database_error(error, "What was repaired stays. Run it again: it begins anew.") from None
    if as_json:
        print_json([result.description() for result in results])
    if not all(result.succeeded for result in results):
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


@dataclass(frozen=True, slots=True)
class _Result:
    """What the comparison of a resource has found, or why there was none."""

    resource: str
    verification: Verification | None = None
    left_out: str | None = None
    error: StripeFdwError | None = None

    @property
    def succeeded(self) -> bool:
        """False if the comparison failed, or something still differs."""
        found = self.verification
        return self.error is None and (found is None or len(found.differences) == found.repaired)

    def lines(self) -> list[str]:
        """Return the result as text."""
        if self.left_out is not None:
            return [f"{self.resource}: is left out: {self.left_out}"]
        if self.verification is None:
            return [f"{self.resource}: failed"]
        return _lines(self.resource, self.verification)

    def description(self) -> dict[str, Any]:
        """Return the result for JSON."""
        found = self.verification or Verification()
        return {
            "resource": self.resource,
            "objects": found.objects,
            "differences": [asdict(item) for item in found.differences],
            "repaired": found.repaired,
            "left_out": self.left_out,
            "error": None if self.error is None else self.error.message,
        }


def _verify(verifier: Verifier, resource: Resource, sample: int | None) -> _Result:
    """Compare a resource."""
    if sample is None:  # which reads no lists inside objects
        say_cost(resource, verifier.connection, verifier.schemas)
    try:
        found = verifier.verify(resource) if sample is None else verifier.sample(resource, sample)
    except (NotListedError, PermissionDeniedError, NotActivatedError) as error:
        return _Result(resource.name, left_out=error.message)
    except StripeFdwError as error:
        return _Result(resource.name, error=error)
    return _Result(resource.name, found)


def _print(result: _Result) -> None:
    for line in result.lines():
        out.print(line, markup=False)
    if result.error is not None:
        report(result.error)


def _lines(resource: str, result: Verification) -> list[str]:
    differing = len(result.differences)
    ending = "all equal" if not differing else f"{differing} {'differs' if differing == 1 else 'differ'}"
    if result.repaired:
        ending += f", {result.repaired} repaired"
    lines = [f"{resource}: {counted(result.objects, 'object')} compared, {ending}"]
    lines += [f"  {_text(item)}" for item in result.differences[:_SHOWN]]
    if differing > _SHOWN:
        lines.append(f"  and {differing - _SHOWN} more")
    return lines


def _text(item: Difference) -> str:
    columns = f": {', '.join(item.columns)}" if item.columns else ""
    return f"{item.id} {_WORDS[item.kind]}{columns}"
