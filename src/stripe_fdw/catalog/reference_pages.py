"""The reference of all tables, written from the catalog: a page an area, an index, all changes of state.

Only what somebody needs who reads or writes tables is in it. The facts are those of ``stripe-fdw catalog``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from stripe_fdw.catalog import describe
from stripe_fdw.catalog.model import Catalog
from stripe_fdw.catalog.overlay.transitions import PSEUDO_STATES
from stripe_fdw.catalog.write_description import StateDescription

REFERENCE: Final = Path(__file__).parents[3] / "docs" / "reference"
_INDEX: Final = Path("tables.md")
_STATES: Final = Path("states.md")
_MADE: Final = "<!-- Made from the catalog by `python -m stripe_fdw.catalog document`. -->"
_TYPES: Final = {"timestamp with time zone": "timestamptz", "double precision": "float8"}
_VALUES_SHOWN: Final = 8
_WRITES: Final = ("insert", "update", "delete")
_ROLES: Final = {"list": "Listed by", "preview": "Computed by", "retrieve": "one by", "search": "searched by"}


def documents(catalog: Catalog) -> dict[Path, str]:
    """Every page by its path below ``docs/reference``."""
    tables = describe.tables(catalog)
    areas = [(area, list(found)) for area, found in groupby(tables, key=lambda item: item["area"])]
    found = {_INDEX: _text(_index(catalog, areas))}
    every = {}
    for area, summaries in areas:
        every[area] = [describe.table(catalog.resource[item["table"]]) for item in summaries]
        found[_page(area)] = _text(_area(area, every[area]))
    found[_STATES] = _text(_states(every))
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
    yield "then each row of that table is asked about. [Read well](../how-to/read.md) tells more. *Written*"
    yield "says which of INSERT, UPDATE and DELETE there are; [changes of state](states.md) are UPDATEs, too."
    yield "See [Writing to Stripe](../how-to/write.md)."
    for area, found in areas:
        yield ""
        yield f"## {area}"
        yield ""
        yield "| Table | Columns | Pushed | Needs | Written |"
        yield "|---|---|---|---|---|"
        for item in found:
            needed = [name for each in item["required"] for name in each.split(" or ")]
            yield _row(
                f"[{item['table']}]({_page(area)}#{item['table']})",
                str(item["columns"]),
                _code(column for column in item["pushed"] if column not in needed),
                _needs(item["required"], ", "),
                ", ".join(item["writable"]),
            )


def _area(area: str, tables: Sequence[describe.TableDescription]) -> Iterator[str]:
    yield f"# Tables of {area}"
    yield ""
    yield _MADE
    yield ""
    yield f"`IMPORT FOREIGN SCHEMA {area} FROM SERVER stripe INTO …` brings these; see [all](../tables.md)."
    yield "Besides the columns shown, every table has [`_raw`](../../how-to/read.md#pseudo-columns), and for"
    yield "[writing](../../how-to/write.md) `_params` and `_idempotency_key`."
    yield ""
    yield "*Written* says what can set a column: `insert` and `update`, in **bold** where no row can be"
    yield "inserted without it. With `NULL`, an update to NULL unsets it. With `operation`, changes of it are"
    yield "operations of Stripe's: they stand below the columns, and all tables' in"
    yield "[changes of state](../states.md)."
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
            for state in item["states"]:
                yield _row(*_state(state))


def _facts(item: describe.TableDescription) -> Iterator[str]:
    requests = [
        f"{words} `{item['requests'][role]}`" for role, words in _ROLES.items() if role in item["requests"]
    ]
    facts = [", ".join(requests), *_writing(item)]
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
        yield f"With [`stripe_live.call`](../functions.md): {_code(item['operations'])}"


def _group(names: Sequence[str]) -> str:
    return f"one of {_code(names)}" if len(names) > 1 else _code(names)


def _written(column: describe.ColumnDescription) -> str:
    return ", ".join("**insert**" if word == "insert, required" else word for word in column["write"])


def _state(state: StateDescription) -> tuple[str, str, str]:
    sent = [f"`{name}={value}`" for name, value in state["parameters"].items()]
    sent += [f"the value as `{state['sends']}`"] if state["sends"] else []
    operation = f"`{state['operation']}`" + (f" with {', '.join(sent)}" if sent else "")
    needs = [f"{name} is {' or '.join(f'`{one}`' for one in ones)}" for name, ones in state["needs"].items()]
    sources = _code(state["sources"]) or "any"
    return f"`{state['set']}`", f"{sources}, where {' and '.join(needs)}" if needs else sources, operation


def _states(areas: Mapping[str, Sequence[describe.TableDescription]]) -> Iterator[str]:
    yield "# Changes of state"
    yield ""
    yield _MADE
    yield ""
    yield "An UPDATE of one of these columns is an operation of Stripe's:"
    yield ""
    yield "```sql"
    yield "UPDATE stripe_live.invoice SET status = 'paid' WHERE id = 'in_123';"
    yield "```"
    yield ""
    yield "It is made from the states in the column *From*; from any other, the error names the changes that"
    yield "are possible. *Any* leaves that to Stripe. RETURNING shows what came of it: a payment that was"
    yield "confirmed may be `processing` still. Further parameters of the operation go into `_params`. Other"
    yield "columns of the same statement are updated first, or go with the operation where it takes them all."
    yield "[Writing to Stripe](../how-to/write.md) tells the rest: nothing of it is rolled back."
    yield ""
    yield "These words are no values of Stripe's. They ask for an operation, and no row has them:"
    yield ""
    for (table, column), words in PSEUDO_STATES.items():
        yield f"- {_code(words)} as {column} of {table}"
    for area, tables in areas.items():
        changing = [item for item in tables if item["states"]]
        if changing:
            yield ""
            yield f"## {area}"
            yield ""
            yield "| Table | Change | From | Operation |"
            yield "|---|---|---|---|"
        for item in changing:
            for state in item["states"]:
                yield _row(f"[{item['table']}]({_page(area)}#{item['table']})", *_state(state))


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
    if column["sent_as"]:
        notes.append(f"sent as `{column['sent_as']}`")
    values = column["values"]
    if len(values) > 1:
        more = f" and {len(values) - _VALUES_SHOWN} more" if len(values) > _VALUES_SHOWN else ""
        notes.append(_code(values[:_VALUES_SHOWN]) + more)
    return "; ".join(notes)
