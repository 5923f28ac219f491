"""``python -m stripe_fdw.catalog build [--check]``: make the built file, or say whether it is current."""

from __future__ import annotations

import argparse
import difflib
import sys

from stripe_fdw.catalog.from_sdk import build
from stripe_fdw.catalog.from_sdk.rendering import render
from stripe_fdw.catalog.stored import PATH


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when the file is current or was written, 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m stripe_fdw.catalog", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="build the catalog from the installed stripe SDK")
    command.add_argument("--check", action="store_true", help="only compare with the committed file")
    options = parser.parse_args(arguments)

    built = render(build())
    if not options.check:
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
