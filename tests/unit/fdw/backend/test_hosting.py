"""What runs the wrapper is found by what the process is, not by which packages can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import stripe_fdw
assert stripe_fdw.StripeForeignDataWrapper.__mro__[1].__module__ == "stripe_fdw.fdw.multicorn.wrapper"
from stripe_fdw.fdw.multicorn.wrapper import session
print(type(session.host).__name__)
session.host.check_interrupts()
session.host.warn("to no client")
"""


@pytest.mark.parametrize(
    "package",
    [
        "class ForeignDataWrapper: ...",
        "import _multicorn_builtin",
        "class ForeignDataWrapper: __init_subclass__ = None",
        "raise SystemError('only inside a server')",
    ],
    ids=["as Multicorn's", "whose C module is missing", "of another kind", "that fails"],
)
def test_a_package_multicorn_outside_a_server_changes_nothing(package: str, tmp_path: Path) -> None:
    (tmp_path / "multicorn").mkdir()
    (tmp_path / "multicorn" / "__init__.py").write_text(f"{package}\n")
    (tmp_path / "_stripe_fdw_host.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("OutsideServer\n", "")
