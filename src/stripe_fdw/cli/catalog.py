"""``stripe-fdw catalog``: list the tables, or describe one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from stripe_fdw.catalog import describe, load
from stripe_fdw.catalog.comments import comments
from stripe_fdw.cli.output import JsonOption, out, print_json, print_table
from stripe_fdw.counts import counted
from stripe_fdw.database.comments import comment_statement

_COMMANDS = ("insert", "update", "delete")


def catalog(
    table: Annotated[
        str | None, typer.Argument(help="A table (checkout_session) or an object (checkout.session).")
    ] = None,
    area: Annotated[str | None, typer.Option(help="Only the tables of one product area.")] = None,
    as_json: JsonOption = False,
    comments_schema: Annotated[
        str | None,
        typer.Option(
            "--comments",
            metavar="SCHEMA",
            help="Print COMMENT statements for the foreign tables in a schema. init sets them itself.",
        ),
    ] = None,
) -> None:
    """List the tables, or show one: its columns, what is pushed down, what can be written."""
    stripe_catalog = load()
    if comments_schema is not None:
        chosen = stripe_catalog.resources if table is None else [describe.find(stripe_catalog, table)]
        for resource in chosen:
            if area in (None, resource.area):
                for column, text in comments(resource):
                    typer.echo(comment_statement(comments_schema, resource.name, column, text), nl=False)
        return
    if table is not None:
        description = describe.table(describe.find(stripe_catalog, table))
        print_json(description) if as_json else _print_table(description)
        return
    tables = [item for item in describe.tables(stripe_catalog) if area in (None, item["area"])]
    if not tables:
        raise typer.BadParameter(
            f"there is no such area; the areas are {', '.join(stripe_catalog.areas)}", param_hint="--area"
        )
    print_json(tables) if as_json else _print_tables(tables, stripe_catalog.api_version)


def _print_tables(tables: list[describe.TableSummary], api_version: str) -> None:
    # Fits into a terminal of 80 columns, except for a few long names.
    grid = _new_grid("table", "area", "columns", "pushed", "write", "fresh by")
    for item in tables:
        grid.add_row(
            item["table"],
            item["area"],
            str(item["columns"]),
            str(len(item["pushed"])),
            "".join(command[0] if command in item["writable"] else "-" for command in _COMMANDS),
            item["freshness"],
        )
    print_table(grid)
    columns = sum(item["columns"] for item in tables)
    out.print(
        f"{counted(len(tables), 'table')}, {counted(columns, 'column')}, Stripe API {api_version}",
        markup=False,
    )
    out.print("pushed: columns that Stripe filters on; write: insert, update, delete", markup=False)


def _print_table(item: describe.TableDescription) -> None:
    out.print(f"{item['table']}: {item['object'] or 'several objects'}, area {item['area']}", markup=False)
    for role, request in item["requests"].items():
        out.print(f"  {role}: {request}", markup=False)
    _print_facts(item)
    grid = _new_grid("column", "type", "pushed", "write", "values, references, source")
    for column in item["columns"]:
        source = [f"from {column['source']}"] if column["source"] else []
        source += [f"with expand[]={column['expand']}"] if column["expand"] else []
        source += [f"sent as {column['sent_as']}"] if column["sent_as"] else []
        lists = [f"full list in {column['lists']}"] if column["lists"] else []
        values = [_shortened(column["values"])] if column["values"] else []
        references = [f"id of {' or '.join(column['references'])}"] if column["references"] else []
        grid.add_row(
            column["column"],
            column["type"],
            ", ".join(column["pushed"]),
            "; ".join(column["write"]),
            escape("; ".join([*references, *lists, *source, *values])),
        )
    print_table(grid)
    _print_writing(item)


def _print_writing(item: describe.TableDescription) -> None:
    if item["insert_needs"]:
        needs = "; ".join(" or ".join(group) for group in item["insert_needs"])
        out.print(f"insert needs: {needs}", markup=False)
    if item["parameters"]:
        out.print(f"with _params: {', '.join(item['parameters'])}", markup=False)
    for transition in item["states"]:
        sources = f" from {', '.join(transition['sources'])}" if transition["sources"] else ""
        parameters = "".join(f" {name}={value}" for name, value in transition["parameters"].items())
        out.print(f"set {transition['set']}{sources}: {transition['operation']}{parameters}", markup=False)
    for operation in item["operations"]:
        out.print(f"with stripe_live.call: {operation}", markup=False)


def _print_facts(item: describe.TableDescription) -> None:
    facts = {
        "searched by": ", ".join(item["search"]),
        "listed with": ", ".join(f"{name}={value}" for name, value in item["defaults"].items()),
        "then with": "; ".join(
            ", ".join(f"{name}={value}" for name, value in parameters.items())
            for parameters in item["further_lists"]
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


def _new_grid(*headings: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        grid.add_column(heading, no_wrap=True)
    return grid
