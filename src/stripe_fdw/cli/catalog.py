"""``stripe-fdw catalog``: list the tables, or describe one."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from stripe_fdw.catalog import describe, load
from stripe_fdw.cli.output import out, print_table


def catalog(
    table: Annotated[
        str | None, typer.Argument(help="A table (checkout_session) or an object (checkout.session).")
    ] = None,
    area: Annotated[str | None, typer.Option(help="Only the tables of one product area.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the tables, or show one: its columns, what is pushed down, what can be written."""
    stripe = load()
    if table is not None:
        described = describe.table(describe.find(stripe, table))
        _print_json(described) if as_json else _print_table(described)
        return
    tables = [item for item in describe.tables(stripe) if area in (None, item["area"])]
    if not tables:
        raise typer.BadParameter(
            f"there is no such area; the areas are {', '.join(stripe.areas)}", param_hint="--area"
        )
    _print_json(tables) if as_json else _print_tables(tables, stripe.api_version)


def _print_json(value: Any) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _print_tables(tables: list[describe.TableSummary], api_version: str) -> None:
    # Fits into a terminal of 80 columns, except for a few long names.
    shown = _grid("table", "area", "columns", "pushed", "write", "fresh by")
    for item in tables:
        shown.add_row(
            item["table"],
            item["area"],
            str(item["columns"]),
            str(len(item["pushed"])),
            "".join(word[0] if word in item["writable"] else "-" for word in ("insert", "update", "delete")),
            item["freshness"],
        )
    print_table(shown)
    columns = sum(item["columns"] for item in tables)
    out.print(f"{len(tables)} tables, {columns} columns, Stripe API {api_version}", markup=False)
    out.print("pushed: columns that Stripe filters on; write: insert, update, delete", markup=False)


def _print_table(item: describe.TableDescription) -> None:
    out.print(f"{item['table']}: {item['object'] or 'several objects'}, area {item['area']}", markup=False)
    for role, request in item["requests"].items():
        out.print(f"  {role}: {request}", markup=False)
    _print_facts(item)
    shown = _grid("column", "type", "pushed", "write", "values, references, source")
    for column in item["columns"]:
        source = [f"from {column['source']}"] if column["source"] else []
        source += [f"sent as {column['sent_as']}"] if column["sent_as"] else []
        lists = [f"all in {column['lists']}"] if column["lists"] else []
        values = [_shortened(column["values"])] if column["values"] else []
        references = [f"id of {' or '.join(column['references'])}"] if column["references"] else []
        shown.add_row(
            column["column"],
            column["type"],
            ", ".join(column["pushed"]),
            "; ".join(column["write"]),
            escape("; ".join([*references, *lists, *source, *values])),
        )
    print_table(shown)
    _print_writing(item)


def _print_writing(item: describe.TableDescription) -> None:
    if item["insert_needs"]:
        needed = "; ".join(" or ".join(group) for group in item["insert_needs"])
        out.print(f"insert needs: {needed}", markup=False)
    if item["parameters"]:
        out.print(f"with _params: {', '.join(item['parameters'])}", markup=False)
    for state in item["states"]:
        sources = f" from {', '.join(state['sources'])}" if state["sources"] else ""
        along = "".join(f" {name}={value}" for name, value in state["parameters"].items())
        out.print(f"set {state['set']}{sources}: {state['operation']}{along}", markup=False)
    for operation in item["operations"]:
        out.print(f"with stripe_live.call: {operation}", markup=False)


def _print_facts(item: describe.TableDescription) -> None:
    facts = {
        "searched by": ", ".join(item["search"]),
        "listed with": ", ".join(f"{name}={value}" for name, value in item["defaults"].items()),
        "then with": "; ".join(
            ", ".join(f"{name}={value}" for name, value in each.items()) for each in item["further_lists"]
        ),
        "needs": ", ".join(item["required"]),
        "fresh by": item["freshness"],
        "events": ", ".join(item["events"]),
        "note": " ".join(item["notes"]),
    }
    for name, fact in facts.items():
        if fact:
            out.print(f"  {name}: {fact}", markup=False)


def _shortened(values: list[str]) -> str:
    return ", ".join(values) if len(values) <= 10 else f"{', '.join(values[:10])} and {len(values) - 10} more"


def _grid(*headings: str) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        shown.add_column(heading, no_wrap=True)
    return shown
