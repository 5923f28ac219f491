"""How ``stripe-fdw serve`` starts, or says why it does not."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from stripe_fdw.cli import _app
from stripe_fdw.errors import OptionError
from stripe_fdw.events.web_server import listen, url_of


def test_a_port_that_is_taken_is_told() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert url_of(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(OptionError, match=f"cannot listen on port {port} of 127.0.0.1: Address already"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "::2"])
def test_an_address_of_another_machine_is_told(host: str) -> None:
    with pytest.raises(OptionError, match="cannot listen on port 0"):
        listen(host, 0)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stripe_fdw.events.web_server", None)
    result = CliRunner().invoke(_app, ["serve"])
    assert isinstance(result.exception, OptionError)
    assert result.exception.hint is not None
    assert "[serve]" in result.exception.hint
