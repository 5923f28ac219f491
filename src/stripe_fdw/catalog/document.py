"""The reference of all tables, written from the catalog: one page for each product area, and an index.

Only what a reader of tables needs is in it. The facts are those of ``stripe-fdw catalog``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from stripe_fdw.catalog import describe
from stripe_fdw.catalog.model import Catalog

REFERENCE: Final = Path(__file__).parents[3] / "docs" / "reference"
_INDEX: Final = Path("tables.md")
_MADE: Final = "<!-- Made from the catalog by `python -m stripe_fdw.catalog document`. -->"
_TYPES: Final = {"timestamp with time zone": "timestamptz", "double precision": "float8"}
_VALUES_SHOWN: Final = 8
_ROLES: Final = {"list": "Listed by", "preview": "Computed by", "retrieve": "one by", "search": "searched by"}


def documents(catalog: Catalog) -> dict[Path, str]:
    """Every page by its path below ``docs/reference``."""
    tables = describe.tables(catalog)
    areas = [(area, list(found)) for area, found in groupby(tables, key=lambda item: item["area"])]
    found = {_INDEX: _text(_index(catalog, areas))}
    for area, summaries in areas:
        described = [describe.table(catalog.resource[item["table"]]) for item in summaries]
        found[_page(area)] = _text(_area(area, described))
    return found


def outdated(catalog: Catalog, folder: Path = REFERENCE) -> list[Path]:
    """The pages below the folder that are missing, differ from the catalog, or are of no area any more."""
    wanted = documents(catalog)
    stale = [path for path, text in wanted.items() if not _is(folder / path, text)]
    return sorted([*stale, *_left_over(wanted, folder)])


def write(catalog: Catalog, folder: Path = REFERENCE) -> None:
    """Write all pages below the folder and remove those of areas that are gone.

    Raises FileNotFoundError where there is no such folder: pages belong to a checkout.
    """
    wanted = documents(catalog)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: run this in a checkout")
    for path, text in wanted.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    for path in _left_over(wanted, folder):
        (folder / path).unlink()


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


def _left_over(wanted: Iterable[Path], folder: Path) -> list[Path]:
    there = {path.relative_to(folder) for path in (folder / "tables").glob("*.md")}
    return sorted(there - set(wanted))


def _page(area: str) -> Path:
    return Path("tables") / f"{area}.md"


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _needs(required: Sequence[str], between: str) -> str:
    """The columns needed; an entry of several, of which any will do, is written as one."""
    return between.join(" or ".join(f"`{name}`" for name in each.split(" or ")) for each in required)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _index(catalog: Catalog, areas: Sequence[tuple[str, Sequence[describe.TableSummary]]]) -> Iterator[str]:
    tables = [item for _, found in areas for item in found]
    columns = sum(item["columns"] for item in tables)
    yield "# Tables"
    yield ""
    yield _MADE
    yield ""
    yield f"{len(tables)} tables with {columns} columns, after version {catalog.api_version} of Stripe's API."
    yield "Each heading is a product area, and a remote schema of its own for `IMPORT FOREIGN SCHEMA`;"
    yield "the remote schema `stripe` has all of them. `stripe-fdw catalog` shows the same in the terminal."
    yield ""
    yield "*Pushed* are the columns whose conditions become parameters of the request. *Needs* are those of"
    yield "which Stripe wants a value. Where that is the id of a row of one other table, it may be left out:"
    yield "then each row of that table is asked about. [Read well](../how-to/read.md) tells more."
    for area, found in areas:
        yield ""
        yield f"## {area}"
        yield ""
        yield "| Table | Columns | Pushed | Needs |"
        yield "|---|---|---|---|"
        for item in found:
            needed = [name for each in item["required"] for name in each.split(" or ")]
            yield _row(
                f"[{item['table']}]({_page(area)}#{item['table']})",
                str(item["columns"]),
                _code(column for column in item["pushed"] if column not in needed),
                _needs(item["required"], ", "),
            )


def _area(area: str, tables: Sequence[describe.TableDescription]) -> Iterator[str]:
    yield f"# Tables of {area}"
    yield ""
    yield _MADE
    yield ""
    yield f"`IMPORT FOREIGN SCHEMA {area} FROM SERVER stripe INTO …` brings these; see [all](../tables.md)."
    yield "Besides the columns shown, every table has [`_raw`](../../how-to/read.md#pseudo-columns)."
    for item in tables:
        yield ""
        yield f"## {item['table']}"
        yield ""
        yield from _facts(item)
        yield ""
        yield "| Column | Type | Pushed | Notes |"
        yield "|---|---|---|---|"
        for column in item["columns"]:
            type_name = _TYPES.get(column["type"], column["type"])
            yield _row(f"`{column['column']}`", type_name, _pushed(column), _notes(column))


def _facts(item: describe.TableDescription) -> Iterator[str]:
    requests = [
        f"{words} `{item['requests'][role]}`" for role, words in _ROLES.items() if role in item["requests"]
    ]
    facts = [", ".join(requests)]
    if item["defaults"]:
        facts.append(f"Lists ask for {_code(f'{name}={text}' for name, text in item['defaults'].items())}")
    for more in item["further_lists"]:
        facts.append(f"A further list asks for {_code(f'{name}={text}' for name, text in more.items())}")
    if item["required"]:
        facts.append(f"Needs {_needs(item['required'], ' and ')}")
    if item["search"]:
        facts.append(f"With `use_search` also by {_code(item['search'])}")
    facts.extend(note.rstrip(".") for note in item["notes"])
    for fact in facts:
        yield f"- {fact}."


def _pushed(column: describe.ColumnDescription) -> str:
    return _code(name.lower() if name == "= ANY" else name for name in column["pushed"])


def _notes(column: describe.ColumnDescription) -> str:
    notes = []
    if column["references"]:
        notes.append(f"id of {' or '.join(column['references'])}")
    if column["lists"]:
        notes.append(f"all of them in {column['lists']}")
    if column["source"]:
        notes.append("the value asked for" if column["source"] == "qual" else f"from `{column['source']}`")
    values = column["values"]
    if len(values) > 1:
        more = f" and {len(values) - _VALUES_SHOWN} more" if len(values) > _VALUES_SHOWN else ""
        notes.append(_code(values[:_VALUES_SHOWN]) + more)
    return "; ".join(notes)
