"""The command ``python -m stripe_fdw.catalog build|document [--check]``, which writes the generated files.

``build`` writes the catalog's JSON files, ``document`` the reference pages. With ``--check`` they write
nothing and report committed files that are out of date.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from stripe_fdw.catalog import load, loader, parameter_shapes, reference_pages
from stripe_fdw.catalog.from_sdk import build
from stripe_fdw.catalog.from_sdk.rendering import render_catalog, render_shapes


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Return the exit code: 1 if ``--check`` finds a file out of date, else 0."""
    parser = argparse.ArgumentParser(prog="python -m stripe_fdw.catalog", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="build the catalog from the installed stripe SDK")
    command.add_argument("--check", action="store_true", help="only compare with the committed files")
    command = commands.add_parser("document", help="write docs/reference/tables from the built catalog")
    command.add_argument("--check", action="store_true", help="only compare with the committed pages")
    options = parser.parse_args(arguments)
    return _document(options.check) if options.command == "document" else _build(options.check)


def _document(check: bool) -> int:
    if not check:
        reference_pages.write(load())
        return 0
    outdated = reference_pages.outdated(load())
    for page in outdated:
        sys.stdout.write(f"docs/reference/{page} is out of date\n")
    if outdated:
        sys.stdout.write("Run python -m stripe_fdw.catalog document\n")
    return 1 if outdated else 0


def _build(check: bool) -> int:
    result = build()
    files = {
        loader.PATH: render_catalog(result.catalog),
        parameter_shapes.PATH: render_shapes(result.shapes),
    }
    if not check:
        for path, text in files.items():
            path.write_text(text, "utf-8")
        return 0
    difference = [line for path, text in files.items() for line in _difference(path, text)]
    sys.stdout.writelines(f"{line}\n" for line in difference)
    if difference:
        sys.stdout.write("The catalog is out of date: run python -m stripe_fdw.catalog build\n")
    return 1 if difference else 0


def _difference(path: Path, built: str) -> Iterator[str]:
    committed = path.read_text("utf-8") if path.exists() else ""
    yield from difflib.unified_diff(
        committed.splitlines(),
        built.splitlines(),
        f"{path.name}, committed",
        f"{path.name}, built from the installed SDK",
        n=1,
        lineterm="",
    )


if __name__ == "__main__":
    sys.exit(main())
