"""The host that is found, and the import of the package where a host's modules can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import multicorn
import stripe_fdw
assert issubclass(stripe_fdw.StripeForeignDataWrapper, multicorn.ForeignDataWrapper)
from stripe_fdw.fdw.multicorn.wrapper import session
print(type(session.host).__name__)
session.host.check_interrupts()
session.host.warn("to no client")
"""


def test_where_multicorn_can_be_imported_outside_a_server_there_is_no_host(tmp_path: Path) -> None:
    (tmp_path / "multicorn").mkdir()
    (tmp_path / "multicorn" / "__init__.py").write_text("class ForeignDataWrapper: ...\n")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("OutsideServer\n", "")
