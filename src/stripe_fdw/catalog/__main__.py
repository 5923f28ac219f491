"""``python -m stripe_fdw.catalog build|document [--check]``: make the built file, or its pages.

With ``--check`` nothing is written: it says whether what is committed is current.
"""

from __future__ import annotations

import argparse
import difflib
import sys

from stripe_fdw.catalog import document, load
from stripe_fdw.catalog.from_sdk import build
from stripe_fdw.catalog.from_sdk.rendering import render
from stripe_fdw.catalog.stored import PATH


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when the file is current or was written, 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m stripe_fdw.catalog", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="build the catalog from the installed stripe SDK")
    command.add_argument("--check", action="store_true", help="only compare with the committed file")
    command = commands.add_parser("document", help="write docs/reference/tables from the built file")
    command.add_argument("--check", action="store_true", help="only compare with the committed pages")
    options = parser.parse_args(arguments)
    return _document(options.check) if options.command == "document" else _build(options.check)


def _document(check: bool) -> int:
    if not check:
        document.write(load())
        return 0
    outdated = document.outdated(load())
    for page in outdated:
        sys.stdout.write(f"docs/reference/{page} is not current\n")
    if outdated:
        sys.stdout.write("Run python -m stripe_fdw.catalog document\n")
    return 1 if outdated else 0


def _build(check: bool) -> int:
    built = render(build())
    if not check:
        PATH.write_text(built, "utf-8")
        return 0
    committed = PATH.read_text("utf-8") if PATH.exists() else ""
    if committed == built:
        return 0
    difference = difflib.unified_diff(
        committed.splitlines(),
        built.splitlines(),
        "committed",
        "built from the installed SDK",
        n=1,
        lineterm="",
    )
    sys.stdout.writelines(f"{line}\n" for line in difference)
    sys.stdout.write("The catalog is not current: run python -m stripe_fdw.catalog build\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
