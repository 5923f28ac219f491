"""The command line as a user has it: a process of its own, from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def stripe_fdw(tmp_path: Path) -> Run:
    """Run ``stripe-fdw`` with these words, in an empty folder and with no settings but those given."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STRIPE", "PG")) and name != "DATABASE_URL"
        }
        if "PG_CONFIG" in os.environ:
            kept["PG_CONFIG"] = os.environ["PG_CONFIG"]
        return subprocess.run(
            [str(Path(sys.executable).with_name("stripe-fdw")), *words],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**kept, **environment},
            text=True,
            timeout=240,
        )

    return run
