"""The services and proxies that the documentation shows fit the commands, and what systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from stripe_fdw.cli import _app
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.receiver import path_of
from stripe_fdw.events.request_limits import MAX_BODY_BYTES
from support.doc_pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "events.md"
COMMANDS: Any = typer.main.get_group(_app).commands  # type: ignore[attr-defined]


def block(text: str) -> str:
    """The only block of the page with this text."""
    (found,) = [item.text for item in blocks(PAGE) if text in item.text]
    return found


def port() -> int:
    """The port on which ``serve`` listens by default."""
    (option,) = [item for item in COMMANDS["serve"].params if "--port" in item.opts]
    return int(option.default)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit of the page, in a file of the name that it gives, with the command of this environment."""
    text = block("[Service]")
    name = re.match(r"# /etc/systemd/system/(\S+@\.service): ", text)
    assert name is not None
    command = Path(sys.executable).with_name("stripe-fdw")
    file = tmp_path / name[1]
    file.write_text(
        text.replace("/srv/app/.venv/bin/stripe-fdw", str(command)).replace("User=app", "User=root")
    )
    return file


def test_the_instances_of_the_unit_are_commands(unit: Path) -> None:
    enabled = re.findall(r"\bstripe-fdw@(\w+)\b", unit.read_text().partition("\n")[0])
    assert enabled == ["worker", "serve"]
    assert set(enabled) <= set(COMMANDS)
    assert re.search(r"^ExecStart=\S+/stripe-fdw %i$", unit.read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("instance", ["worker", "serve"])
def test_systemd_accepts_the_unit(unit: Path, instance: str) -> None:
    started = unit.with_name(unit.name.replace("@", f"@{instance}"))
    unit.rename(started)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(started)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if started.name in line]) == (0, [])


@pytest.mark.parametrize("proxy", ["proxy_pass http://", "reverse_proxy "])
def test_proxies_pass_webhooks_on_to_where_serve_listens(proxy: str) -> None:
    text = block(proxy)
    assert f"{proxy}127.0.0.1:{port()}" in text
    location = re.search(r"(?:location|handle) (\S+?)\*? \{", text)
    assert location is not None
    for schemas in (Schemas(), Schemas("stripe_eu", "stripe_eu")):
        assert path_of(schemas).startswith(location[1])
    for text_of_path in ("/healthz", "/readyz"):  # which are not for the public
        assert not text_of_path.startswith(location[1])


def test_the_proxy_takes_what_serve_takes() -> None:
    limit = re.search(r"client_max_body_size (\d+)m;", block("proxy_pass"))
    assert limit is not None
    assert int(limit[1]) << 20 >= MAX_BODY_BYTES


def test_the_endpoint_is_made_where_the_proxy_listens() -> None:
    (host,) = re.findall(r"server_name (\S+);", block("proxy_pass"))
    urls = set(re.findall(r"stripe-fdw webhook \w+ (https://\S+?)`?(?:\s|$)", PAGE.read_text()))
    production = (ROOT / "docs" / "how-to" / "production.md").read_text()
    urls |= set(re.findall(r"stripe-fdw webhook \w+ (https://\S+?)`", production))
    paths = {path_of(Schemas()), path_of(Schemas("stripe_eu", "stripe_eu"))}
    assert urls == {f"https://{host}{path}" for path in paths}
