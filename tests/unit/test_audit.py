"""``make audit``: findings fail, and an audit that did not take place says so."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_tool", ROOT / "tools" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "audit_tool", module)
        spec.loader.exec_module(module)
    return module


def report(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


CLEAN: dict[str, object] = {"name": "orjson", "version": "3.13", "vulns": []}
BROKEN: dict[str, object] = {
    "name": "urllib3",
    "version": "2.5",
    "vulns": [{"id": "CVE-2025-66471", "fix_versions": ["2.6.0"]}],
}
UNKNOWN: dict[str, object] = {
    "name": "rich",
    "skip_reason": "Dependency not found on PyPI and could not be audited",
}
OURS: dict[str, object] = {"name": "stripe-fdw", "skip_reason": "distribution marked as editable"}


@pytest.mark.parametrize(
    ("output", "errors", "status", "text"),
    [
        (report(CLEAN, OURS), "", 0, "no known vulnerability in 1 packages"),
        (report(CLEAN, UNKNOWN), "", 0, "not looked up: rich"),
        (report(CLEAN, BROKEN, UNKNOWN), "", 1, "urllib3 2.5: CVE-2025-66471 (fixed in 2.6.0)"),
        (report(UNKNOWN, OURS), "", 0, "NOT DONE, the package index has no advisories for any of 1 packages"),
        ("", "ConnectionError: Failed to resolve 'pypi.org'", 0, "NOT DONE, the advisory service"),
        ("", "No module named pip_audit", 1, "No module named pip_audit"),
        ("[]", "", 1, "pip-audit failed"),
    ],
)
def test_findings_fail_and_what_was_not_looked_up_is_said(
    audit: ModuleType, output: str, errors: str, status: int, text: str
) -> None:
    judged = audit.verdict(output, errors)
    assert judged.status == status
    assert text in "\n".join(judged.lines)


def test_every_dependency_has_a_floor_a_ceiling_and_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)
    groups = [project["build-system"]["requires"], project["project"]["dependencies"]]
    groups += project["project"]["optional-dependencies"].values()
    groups += project["dependency-groups"].values()
    for requirement in (item for group in groups for item in group if isinstance(item, str)):
        lines = [line for line in text.splitlines() if f'"{requirement}"' in line]
        assert lines, requirement
        for reason in (line.split(f'"{requirement}"')[1].partition("#")[2].strip() for line in lines):
            assert reason, requirement
            assert re.search(r">=[\d.]+,<\d+", requirement) or "no ceiling" in reason, requirement
