"""The reference pages of all tables: an index, a page for each product area, and the changes of state.

They are generated from the catalog and hold the same facts as ``stripe-fdw catalog``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from stripe_fdw.catalog import describe
from stripe_fdw.catalog.model import Catalog
from stripe_fdw.catalog.overlay.transitions import PSEUDO_STATES
from stripe_fdw.catalog.overlay.unlisted import OBJECTS_WITHOUT_TABLE
from stripe_fdw.catalog.write_description import TransitionDescription

REFERENCE: Final = Path(__file__).parents[3] / "docs" / "reference"
_INDEX: Final = Path("tables.md")
_STATES: Final = Path("states.md")
_GENERATED: Final = "<!-- Generated from the catalog by `python -m stripe_fdw.catalog document`. -->"
_TYPES: Final = {"timestamp with time zone": "timestamptz", "double precision": "float8"}
_VALUES_SHOWN: Final = 8
_WRITES: Final = ("insert", "update", "delete")
_ROLES: Final = {
    "list": "Listed by",
    "preview": "Computed by",
    "inside": "In no list; taken out of the answers to",
    "retrieve": "one by",
    "search": "searched by",
}


def pages(catalog: Catalog) -> dict[Path, str]:
    """Return the text of every page by its path below ``docs/reference``."""
    by_area = groupby(describe.tables(catalog), key=lambda item: item["area"])
    areas = [(area, list(summaries)) for area, summaries in by_area]
    texts = {_INDEX: _text(_index(catalog, areas))}
    tables_by_area = {}
    for area, summaries in areas:
        tables_by_area[area] = [describe.table(catalog.resource[item["table"]]) for item in summaries]
        texts[_page(area)] = _text(_area(area, tables_by_area[area]))
    texts[_STATES] = _text(_states(tables_by_area))
    return texts


def outdated(catalog: Catalog, folder: Path = REFERENCE) -> list[Path]:
    """Return the pages below the folder that are missing, differ from the catalog, or belong to no area."""
    texts = pages(catalog)
    different = [path for path, text in texts.items() if not _has_text(folder / path, text)]
    return sorted([*different, *_surplus_pages(texts, folder)])


def write(catalog: Catalog, folder: Path = REFERENCE) -> None:
    """Write all pages below the folder and remove those of areas that no longer exist.

    Raises:
        FileNotFoundError: there is no such folder, since this is not a checkout.

    """
    texts = pages(catalog)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: run this in a checkout")
    for path, text in texts.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    for path in _surplus_pages(texts, folder):
        (folder / path).unlink()


def _has_text(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


def _surplus_pages(wanted: Iterable[Path], folder: Path) -> list[Path]:
    present = {path.relative_to(folder) for path in (folder / "tables").glob("*.md")}
    return sorted(present - set(wanted))


def _page(area: str) -> Path:
    return Path("tables") / f"{area}.md"


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _required(required: Sequence[str], separator: str) -> str:
    """Return the required columns as text; an entry "a or b" names several columns of which one is enough."""
    return separator.join(" or ".join(f"`{name}`" for name in entry.split(" or ")) for entry in required)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _index(catalog: Catalog, areas: Sequence[tuple[str, Sequence[describe.TableSummary]]]) -> Iterator[str]:
    tables = [item for _, summaries in areas for item in summaries]
    columns = sum(item["columns"] for item in tables)
    yield "# Tables"
    yield ""
    yield _GENERATED
    yield ""
    yield f"{len(tables)} tables with {columns} columns, from version {catalog.api_version} of Stripe's API."
    yield "Each heading is a product area and the name of a remote schema for `IMPORT FOREIGN SCHEMA`;"
    yield "the remote schema `stripe` has all tables. `stripe-fdw catalog` shows the same in the terminal."
    yield ""
    yield "- *Pushed*: conditions on these columns become parameters of the request."
    yield "- *Required*: Stripe needs a value for these columns. Where the value is the id of a row of one"
    yield "  other table, it may be left out: then the rows of that table are read first, and a request is"
    yield "  made for each of them. See [Reading](../how-to/read.md)."
    yield "- *Written*: the commands INSERT, UPDATE and DELETE that the table has."
    yield "  [Changes of state](states.md) are UPDATEs, too. See [Write semantics](writing.md)."
    for area, summaries in areas:
        yield ""
        yield f"## {area}"
        yield ""
        yield "| Table | Columns | Pushed | Required | Written |"
        yield "|---|---|---|---|---|"
        for item in summaries:
            required = [name for entry in item["required"] for name in entry.split(" or ")]
            yield _row(
                f"[{item['table']}]({_page(area)}#{item['table']})",
                str(item["columns"]),
                _code(column for column in item["pushed"] if column not in required),
                _required(item["required"], ", "),
                ", ".join(item["writable"]),
            )

    yield ""
    yield "## Objects without a table"
    yield ""
    yield "Stripe has no operation that retrieves these, so no table can show them. `stripe_live.call`"
    yield "reaches the operations that create them."
    yield ""
    yield "| Object | Reason |"
    yield "|---|---|"
    for name, reason in sorted(OBJECTS_WITHOUT_TABLE.items()):
        yield _row(f"`{name}`", reason)


def _area(area: str, tables: Sequence[describe.TableDescription]) -> Iterator[str]:
    yield f"# Tables of {area}"
    yield ""
    yield _GENERATED
    yield ""
    yield f"`IMPORT FOREIGN SCHEMA {area} FROM SERVER stripe INTO …` imports these; see [all](../tables.md)."
    yield "Besides the columns shown, every table has [`_raw`](../../how-to/read.md#pseudo-columns) and, for"
    yield "[writing](../writing.md#write-only-columns), `_params` and `_idempotency_key`."
    yield ""
    yield "*Written* names the commands that can set a column: `insert` and `update`, in **bold** where"
    yield "INSERT requires it. With `NULL`, an update to NULL unsets it. With `operation`, changes of it are"
    yield "operations of Stripe's API: they are listed below the columns, and those of all tables in"
    yield "[changes of state](../states.md)."
    yield ""
    yield "A note with `expand[]` marks an [expanded column](../../how-to/read.md#expanded-columns), which"
    yield "Stripe sends only to requests that ask for it."
    for item in tables:
        yield ""
        yield f"## {item['table']}"
        yield ""
        yield from _facts(item)
        yield ""
        yield "| Column | Type | Pushed | Written | Notes |"
        yield "|---|---|---|---|---|"
        for column in item["columns"]:
            type_name = _TYPES.get(column["type"], column["type"])
            yield _row(f"`{column['column']}`", type_name, _pushed(column), _written(column), _notes(column))
        if item["states"]:
            yield ""
            yield "| Change | From | Operation |"
            yield "|---|---|---|"
            for transition in item["states"]:
                yield _row(*_transition(transition))


def _facts(item: describe.TableDescription) -> Iterator[str]:
    requests = [
        f"{phrase} {_code(item['requests'][role].split(', '))}"
        for role, phrase in _ROLES.items()
        if role in item["requests"]
    ]
    described = ", ".join(requests)
    if "list" not in item["requests"] and "retrieve" in item["requests"]:
        described = described.replace(_ROLES["retrieve"], "In no list; retrieved by")
    facts = [described, *_writing(item)]
    if item["defaults"]:
        lists = "Lists are requested" if "list" in item["requests"] else "It is requested"
        facts.append(f"{lists} with {_parameters(item['defaults'])}")
    if item["ids_in"]:
        facts.append(f"Ids lie in {_code(item['ids_in'])}")
    for parameters in item["further_lists"]:
        facts.append(f"A further list is requested with {_parameters(parameters)}")
    if item["required"]:
        facts.append(f"Requires {_required(item['required'], ' and ')}")
    if item["search"]:
        facts.append(f"With `use_search`, conditions on {_code(item['search'])} are pushed too")
    if item["substring_search"]:
        facts.append(f"With `use_search`, LIKE and ILIKE on {_code(item['substring_search'])} are pushed too")
    facts.extend(note.rstrip(".") for note in item["notes"])
    for fact in facts:
        yield f"- {fact}."


def _parameters(parameters: Mapping[str, str]) -> str:
    return _code(f"{name}={value}" for name, value in parameters.items())


def _writing(item: describe.TableDescription) -> Iterator[str]:
    requests = [
        f"{role.upper()} is `{item['requests'][role]}`" for role in _WRITES if role in item["requests"]
    ]
    if requests:
        yield ", ".join(requests)
    if item["insert_needs"]:
        yield f"INSERT needs {'; '.join(_group(group) for group in item['insert_needs'])}"
    if item["parameters"]:
        yield f"`_params` also takes {_code(item['parameters'])}"
    if item["operations"]:
        yield f"[`stripe_live.call`](../functions.md) also runs {_code(item['operations'])}"


def _group(names: Sequence[str]) -> str:
    return f"one of {_code(names)}" if len(names) > 1 else _code(names)


def _written(column: describe.ColumnDescription) -> str:
    return ", ".join("**insert**" if way == "insert, required" else way for way in column["write"])


def _transition(transition: TransitionDescription) -> tuple[str, str, str]:
    parameters = [f"`{name}={value}`" for name, value in transition["parameters"].items()]
    parameters += [f"the value as `{transition['sends']}`"] if transition["sends"] else []
    operation = f"`{transition['operation']}`" + (f" with {', '.join(parameters)}" if parameters else "")
    conditions = [
        f"{name} is {' or '.join(f'`{value}`' for value in values)}"
        for name, values in transition["needs"].items()
    ]
    sources = _code(transition["sources"]) or "any"
    if conditions:
        sources += f", where {' and '.join(conditions)}"
    return f"`{transition['set']}`", sources, operation


def _states(areas: Mapping[str, Sequence[describe.TableDescription]]) -> Iterator[str]:
    yield "# Changes of state"
    yield ""
    yield _GENERATED
    yield ""
    yield "An UPDATE of one of these columns is an operation of Stripe's API:"
    yield ""
    yield "```sql"
    yield "UPDATE stripe_live.invoice SET status = 'paid' WHERE id = 'in_123';"
    yield "```"
    yield ""
    yield "The operation is possible from the states in the column *From*; from any other state, the error"
    yield "names the changes that are possible. *Any* means that Stripe decides. RETURNING shows the"
    yield "outcome: a payment that was confirmed may still be `processing`. Further parameters of the"
    yield "operation go into `_params`. Other columns of the same statement are updated first, or are sent"
    yield "with the operation if it takes all of them. See [Write semantics](writing.md): a"
    yield "ROLLBACK does not undo these operations."
    yield ""
    yield "Stripe has no such states. Setting one of these values asks for an operation, and no row has it:"
    yield ""
    for (table, column), values in PSEUDO_STATES.items():
        yield f"- {_code(values)} as {column} of {table}"
    for area, tables in areas.items():
        with_transitions = [item for item in tables if item["states"]]
        if with_transitions:
            yield ""
            yield f"## {area}"
            yield ""
            yield "| Table | Change | From | Operation |"
            yield "|---|---|---|---|"
        for item in with_transitions:
            for transition in item["states"]:
                yield _row(f"[{item['table']}]({_page(area)}#{item['table']})", *_transition(transition))


def _pushed(column: describe.ColumnDescription) -> str:
    return _code(name.lower() if name == "= ANY" else name for name in column["pushed"])


def _expansion(column: describe.ColumnDescription) -> str:
    limits = {"by id": "of one object by its id", "by name": "where a query names the column"}
    only = " and ".join(limits[limit] for limit in column["expand_limits"])
    return f"with `expand[]={column['expand']}`" + (f", only {only}" if only else "")


def _notes(column: describe.ColumnDescription) -> str:
    notes = []
    if column["references"]:
        notes.append(f"id of {' or '.join(column['references'])}")
    if column["lists"]:
        notes.append(f"the full list is the table {column['lists']}")
    if column["source"]:
        notes.append(
            "the value of the condition" if column["source"] == "qual" else f"from `{column['source']}`"
        )
    if column["expand"]:
        notes.append(_expansion(column))
    if column["sent_as"]:
        notes.append(f"sent as `{column['sent_as']}`")
    values = column["values"]
    if len(values) > 1:
        more = f" and {len(values) - _VALUES_SHOWN} more" if len(values) > _VALUES_SHOWN else ""
        notes.append(_code(values[:_VALUES_SHOWN]) + more)
    return "; ".join(notes)
