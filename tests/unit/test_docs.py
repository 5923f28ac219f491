"""The documentation is a contract: what can be set or called is described, and links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from stripe_fdw.catalog import document, load
from stripe_fdw.cli import _app
from stripe_fdw.fdw.options import VALID
from stripe_fdw.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        path = f"{prefix} {name}".strip()
        if isinstance(command, click.Group):
            yield from commands(command, path)
        else:
            yield path, command


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


COMMANDS = dict(commands(typer.main.get_group(_app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_are_documented(name: str) -> None:
    described = sections((REFERENCE / "commands.md").read_text())
    assert name in described, f"docs/reference/commands.md has no section on {name}"
    options = {
        option
        for parameter in COMMANDS[name].params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    }
    assert {option for option in options if f"`{option}`" not in described[name]} == set()


def test_no_command_or_option_is_documented_that_is_not_there() -> None:
    described = sections((REFERENCE / "commands.md").read_text())
    assert set(described) == set(COMMANDS)
    for name, text in described.items():
        there = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        mentioned = set(re.findall(r"`(--[a-z-]+)`", text))
        assert mentioned - there == set(), name


def test_server_mapping_and_table_options_are_documented() -> None:
    text = (REFERENCE / "options.md").read_text()
    for place, names in VALID.items():
        for name in names:
            assert f"| `{name}` |" in text, f"option {name} of a {place}"


def test_settings_are_documented() -> None:
    text = (REFERENCE / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        variable = (
            str(field.validation_alias.choices[0]) if field.validation_alias else f"STRIPE_FDW_{name.upper()}"
        )
        assert f"| `{variable}` |" in text, variable


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_pages_about_tables_are_made_from_this_catalog() -> None:
    assert document.outdated(load()) == [], "run python -m stripe_fdw.catalog document"


def test_every_table_has_a_section_and_every_column_a_row() -> None:
    for resource in load().resources:
        section = sections((REFERENCE / "tables" / f"{resource.area}.md").read_text())[resource.name]
        rows = set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE))
        assert rows == set(resource.column), resource.name
