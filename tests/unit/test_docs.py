"""The documentation is complete: options, commands, errors and modules are described, and links are valid."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from stripe_fdw import errors
from stripe_fdw.api.client import DEFAULT_TIMEOUT
from stripe_fdw.catalog import load, reference_pages
from stripe_fdw.catalog.model import Resource
from stripe_fdw.cli import _app
from stripe_fdw.copies.copied_columns import copied_resources
from stripe_fdw.copies.lists import NotListedError, list_parent
from stripe_fdw.fdw.cache.response_cache import CACHE_BYTES, STATEMENT_BYTES
from stripe_fdw.fdw.schema.options import VALID
from stripe_fdw.settings import Settings
from stripe_simulator.server.faults import KINDS, Fault
from support.cases import each

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def page(name: str) -> str:
    return (DOCS / name).read_text()


def has_list(resource: Resource) -> bool:
    try:
        list_parent(resource)
    except NotListedError:
        return False
    return True


def test_the_copies_that_stay_empty_are_named() -> None:
    resources = copied_resources(load())
    without = {resource.name for resource in resources if not has_list(resource)}
    [item] = re.findall(r"^- Five tables stay empty.*?(?=^- )", page("how-to/copies.md"), re.M | re.S)
    assert set(re.findall(r"`(\w+)`", item)) == without
    assert len(without) == 5


# -- commands, options, settings ------------------------------------------------------------------------


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each command with its full name.

    Typer may bundle its own copy of click, so the classes of commands cannot be compared.
    """
    for name, command in group.commands.items():
        path = f"{prefix} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, path)
        else:
            yield path, command


COMMANDS = dict(commands(typer.main.get_group(_app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_are_documented(name: str) -> None:
    described = sections(page("reference/commands.md"))
    assert name in described, f"docs/reference/commands.md has no section on {name}"
    options = {option for option in _options(COMMANDS[name]) if option != "--help"}
    assert {option for option in options if f"`{option}`" not in described[name]} == set()


def test_every_documented_command_and_option_exists() -> None:
    described = sections(page("reference/commands.md"))
    assert set(described) == set(COMMANDS)
    for name, text in described.items():
        mentioned = set(re.findall(r"`(--[a-z-]+)`", text))
        assert mentioned - set(_options(COMMANDS[name])) == set(), name


def test_commands_used_anywhere_in_the_documentation_exist() -> None:
    existing = {
        f"{name} {option}" for name, command in COMMANDS.items() for option in ("", *_options(command))
    }
    for document in documents():
        for usage in re.findall(
            r"stripe-fdw ((?:[a-z]+ )?[a-z]+)((?: --[a-z-]+(?: [^-\s`#]\S*)?)*)", _code(document)
        ):
            name = next((command for command in COMMANDS if f"{usage[0]} ".startswith(f"{command} ")), None)
            assert name is not None, f"{document.name}: stripe-fdw {usage[0]}"
            for option in re.findall(r"--[a-z-]+", usage[1]):
                assert f"{name} {option}" in existing, f"{document.name}: stripe-fdw {name} {option}"


def _options(command: Any) -> list[str]:
    options = [option for parameter in command.params for option in parameter.opts]
    return [*(option for option in options if option.startswith("--")), "--help"]


def _code(path: Path) -> str:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return "\n".join(block for language, block in blocks if language in ("", "sh"))


def test_server_mapping_and_table_options_are_documented() -> None:
    text = page("reference/options.md")
    for place, names in VALID.items():
        for name in names:
            assert f"| `{name}` |" in text, f"option {name} of a {place}"
    assert f"| `timeout` | `{DEFAULT_TIMEOUT:g}` |" in text


def test_settings_are_documented_and_no_others() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", page("reference/settings.md"), flags=re.MULTILINE))
    settings = {
        str(field.validation_alias.choices[0]) if field.validation_alias else f"STRIPE_FDW_{name.upper()}"
        for name, field in Settings.model_fields.items()
    }
    assert documented == settings | {"PG_CONFIG"}


def test_every_line_of_explain_is_documented() -> None:
    package = SOURCE / "stripe_fdw"
    modules = [*(package / "fdw").rglob("*.py"), *(package / "host" / "c").glob("*.c")]
    lines = {
        line for module in modules for line in re.findall(r"\"(Stripe [A-Z][\w ]+)\"", module.read_text())
    }
    assert "Stripe Request" in lines
    assert {line for line in lines if f"| `{line}` |" not in page("how-to/read.md")} == set()


def test_the_sizes_of_the_cache_are_documented() -> None:
    text = page("how-to/cache.md")
    assert f"{CACHE_BYTES >> 20} MiB" in text
    assert f"{CACHE_BYTES >> 22} MiB" in text  # a single response may take a quarter
    assert f"{STATEMENT_BYTES >> 20} MiB" in text


# -- errors ---------------------------------------------------------------------------------------------

ERRORS = [
    item
    for item in vars(errors).values()
    if isinstance(item, type) and issubclass(item, errors.StripeFdwError)
]


def documented_errors() -> set[tuple[str, str]]:
    return set(re.findall(r"^\| `(\w{5})` \| `(\w+)` \| \S", page("reference/errors.md"), flags=re.MULTILINE))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_is_documented_with_its_sqlstate(error: type[errors.StripeFdwError]) -> None:
    assert (error.default_sqlstate, error.__name__) in documented_errors()


def test_every_sqlstate_is_documented() -> None:
    documented = set(re.findall(r"`([0-9A-Z]{5})`", page("reference/errors.md")))
    package = SOURCE / "stripe_fdw"
    modules = [path for folder in ("api", "fdw", "host") for path in (package / folder).rglob("*.py")]
    for module in [*modules, package / "errors.py", package / "sqlstates.py"]:
        used = set(re.findall(r"\"(?=\w*\d)([0-9A-Z]{5})\"", module.read_text()))
        assert used <= documented, module.name


def test_every_documented_error_exists() -> None:
    code = "\n".join(module.read_text() for module in (SOURCE / "stripe_fdw").rglob("*.py"))
    for _, name in documented_errors():
        assert f"class {name}(" in code, name


# -- functions, the simulator, tables -------------------------------------------------------------------


def test_every_function_is_documented_with_its_arguments() -> None:
    described = sections(page("reference/functions.md"))
    scripts = sorted((SOURCE / "stripe_fdw" / "sql").rglob("*.sql"))
    assert scripts
    for script in scripts:
        for_users = set(re.findall(r"^comment on function ([\w.]+)", script.read_text(), flags=re.MULTILINE))
        for name, arguments in re.findall(
            r"create or replace function ([\w.]+)\s*\((.*?)\)\s+returns", script.read_text(), flags=re.DOTALL
        ):
            if name not in for_users:
                continue
            assert name in described, f"docs/reference/functions.md has no section on {name}"
            assert f"`{name}({' '.join(arguments.split())})" in described[name], arguments


def test_every_fault_of_the_simulator_is_shown() -> None:
    text = page("how-to/develop.md")
    for kind in KINDS:
        assert f"| `{kind}` |" in text, kind
        assert f'fault \'{{"kind": "{kind}"' in text, kind
    for field in dataclasses.fields(Fault):
        if field.name != "struck":
            assert f'"{field.name}"' in text or f"`{field.name}`" in text, field.name


def test_every_path_of_the_control_endpoint_is_listed() -> None:
    text = page("how-to/develop.md")
    paths = re.findall(
        r'Route\("(/_simulator/\w+)"', (SOURCE / "stripe_simulator" / "server" / "control.py").read_text()
    )
    assert paths
    assert [path for path in paths if f"{path}` |" not in text] == []


def test_the_pages_about_tables_are_current() -> None:
    assert reference_pages.outdated(load()) == [], "run python -m stripe_fdw.catalog document"


def test_every_table_has_a_section_and_every_column_a_row() -> None:
    for resource in load().resources:
        section = sections(page(f"reference/tables/{resource.area}.md"))[resource.name]
        rows = set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE))
        assert rows == set(resource.column), resource.name


# -- the glossary ---------------------------------------------------------------------------------------

TERMS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]*)\|$", page("glossary.md"), flags=re.MULTILINE)


def test_the_glossary_names_code_that_exists() -> None:
    assert TERMS
    for term, _, code in TERMS:
        for path in re.findall(r"`([^`]+)`", code):
            assert (SOURCE / "stripe_fdw" / path).exists(), f"{term}: {path}"


def test_the_terms_of_each_part_of_the_glossary_are_unique() -> None:
    terms = [term.strip() for term, _, _ in TERMS if not term.startswith(("Term", "-"))]
    assert len(terms) == len(set(terms))


# -- links ----------------------------------------------------------------------------------------------


HOST = SOURCE / "stripe_fdw" / "host"


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), HOST / "README.md"])


def links(path: Path) -> list[tuple[Path, str]]:
    targets = re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", path.read_text())
    return [((path.parent / target).resolve() if target else path, anchor) for target, anchor in targets]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_are_valid(path: Path) -> None:
    for target, anchor in links(path):
        assert target.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(target), f"{path.name} links to {target.name}#{anchor}"


def test_every_promise_of_security_is_shown_by_a_test_that_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    tests = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", text)
    assert [name for name, path in tests if f"def {name}(" not in (ROOT / path).read_text()] == []
    promises = [line for line in text.splitlines() if line.startswith("| ") and "Promise" not in line]
    assert [line for line in promises if "[`test_" not in line] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    to_visit = [ROOT / "README.md"]
    while to_visit:
        path = to_visit.pop()
        if path not in reached and path.suffix == ".md" and path.exists():
            reached.add(path)
            to_visit.extend(target for target, _ in links(path))
    assert [str(path.relative_to(ROOT)) for path in documents() if path not in reached] == []


# -- the map --------------------------------------------------------------------------------------------

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def modules() -> list[Path]:
    paths = [*SOURCE.rglob("*.py"), *(SOURCE / "stripe_fdw" / "host" / "c").glob("*.[ch]")]
    return sorted(path for path in paths if not path.stem.startswith("__"))


def test_names_beside_those_of_sequin_are_tables() -> None:
    rows = re.findall(
        r"^\| `.*? \| (.*) \|$", sections(page("how-to/sequin.md"))["Names"], flags=re.MULTILINE
    )
    names = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert names - {"stripe_live"} <= set(load().resource)
    assert len(names) > 20


@each("path", [path for path in modules() if path.is_relative_to(HOST)], ids=lambda path: path.name)
def test_every_file_of_the_host_is_in_its_readme(path: Path) -> None:
    assert f"`{path.relative_to(HOST)}`" in (HOST / "README.md").read_text()


def mapped(path: Path) -> str:
    """Return the part of the map that a module belongs to."""
    folders = path.relative_to(SOURCE).parts[:-1]
    if len(folders) == 1:
        part = ARCHITECTURE.partition(f"### src/{folders[0]}\n")[2]
        return part.partition("\n### ")[0].partition("\n**")[0]
    return ARCHITECTURE.partition(f"**{folders[1]}/**")[2].partition("\n**")[0].partition("\n### ")[0]


@each("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_is_on_the_map(path: Path) -> None:
    name = f"c/{path.name}" if path.suffix in (".c", ".h") else path.stem
    assert f"`{name}`" in mapped(path)


def test_every_module_on_the_map_exists() -> None:
    c_files = {f"c/{path.name}" for path in modules() if path.suffix in (".c", ".h")}
    assert set(re.findall(r"`(c/\w+\.[ch])`", ARCHITECTURE)) - c_files == set()
    stems = {path.stem for path in modules()} | {
        "stripe",
        "multicorn",
        "psycopg",
        "typer",
        "rich",
        "pydantic",
    }
    stems |= {path.name for path in SOURCE.rglob("*") if path.is_dir()}
    listed = re.findall(r"^\| ((?:`[\w/.]+`(?:, )?)+) \|", ARCHITECTURE, flags=re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`([\w/.]+)`", cell)}
    unknown = {name for name in names if "." not in name and name.rstrip("/").split("/")[-1] not in stems}
    assert unknown == set()
