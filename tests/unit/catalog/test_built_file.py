"""The committed files equal those built from the installed SDK, and are read back as the same values."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from stripe_fdw.catalog import load, loader, parameter_shapes
from stripe_fdw.catalog.__main__ import main
from stripe_fdw.catalog.from_sdk import Built
from stripe_fdw.catalog.from_sdk.rendering import render_catalog, render_shapes

BUILD = """
import pickle, sys
from stripe_fdw.catalog.from_sdk import build
built = build()
sys.stdout.buffer.write(pickle.dumps((built, sorted(sys.modules))))
"""


@pytest.fixture(scope="module")
def build_process() -> tuple[Built, list[str]]:
    """The catalog as a process of its own builds it, and the modules that the process has imported."""
    done = subprocess.run([sys.executable, "-c", BUILD], check=True, stdout=subprocess.PIPE, timeout=200)
    result: tuple[Built, list[str]] = pickle.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def built(build_process: tuple[Built, list[str]]) -> Built:
    return build_process[0]


def test_the_committed_files_are_current(built: Built) -> None:
    hint = "run python -m stripe_fdw.catalog build"
    assert render_catalog(built.catalog) == loader.PATH.read_text("utf-8"), hint
    assert render_shapes(built.shapes) == parameter_shapes.PATH.read_text("utf-8"), hint


def test_reading_gives_what_was_built(built: Built) -> None:
    read, expected = load(), built.catalog
    assert read.resources == expected.resources
    assert read.operations == expected.operations
    assert read.event_types == expected.event_types
    assert (read.api_version, read.sdk_version) == (expected.api_version, expected.sdk_version)
    assert {name: parameter_shapes.fields(name) for name in built.shapes} == built.shapes


def test_check_says_what_differs(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stripe_fdw.catalog.__main__.build", lambda: built)
    changed = tmp_path / "stripe.json"
    changed.write_text(loader.PATH.read_text("utf-8").replace('"name":"email"', '"name":"mail"'), "utf-8")
    monkeypatch.setattr(loader, "PATH", changed)
    shapes = tmp_path / "parameter_shapes.json"
    shapes.write_text(
        parameter_shapes.PATH.read_text("utf-8").replace('"name":"postal_code"', '"name":"zip"'), "utf-8"
    )
    monkeypatch.setattr(parameter_shapes, "PATH", shapes)
    assert main(["build", "--check"]) == 1
    printed = capsys.readouterr().out
    assert '-  {"name":"mail"' in printed
    assert '+  {"name":"email"' in printed
    assert '-  {"name":"zip"' in printed
    assert main(["build"]) == 0
    assert main(["build", "--check"]) == 0


def test_loading_imports_no_sdk() -> None:
    code = (
        "import sys; from stripe_fdw.catalog import load; catalog = load(); catalog.resources;"
        "catalog.operations; sys.exit(any(name.split('.')[0] == 'stripe' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_building_imports_no_sdk(build_process: tuple[Built, list[str]]) -> None:
    assert "stripe" not in build_process[1]


def test_the_file_stays_small_and_one_line_an_entry() -> None:
    text = loader.PATH.read_text("utf-8")
    assert len(text) < 2_000_000
    assert text.count("\n") > sum(len(resource.columns) for resource in load().resources)


def test_one_resource_is_made_when_it_is_asked_for() -> None:
    from stripe_fdw.catalog.loader import read

    catalog = read()
    assert catalog.resource["customer"] is catalog.resource["customer"]
    assert "customer" in catalog.resource
    assert "no_such_table" not in catalog.resource
    with pytest.raises(KeyError):
        catalog.resource["no_such_table"]
