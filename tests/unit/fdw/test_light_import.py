"""What a backend imports before its first answer: nothing that only errors, writes or caches need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("stripe", "pydantic", "psycopg", "httpx", "click", "asyncio", "cachetools", "difflib")
FIRST_READ = """
import gc, sys
from stripe_fdw import StripeForeignDataWrapper
from stripe_fdw.fdw.backend.hosting import PlainColumn
from stripe_fdw.fdw.planning.quals import Qual
wrapper = StripeForeignDataWrapper({"object": "customer", "api_key": "sk_test_1"}, {"id": PlainColumn("id")})
wrapper.rel_size([Qual("id", "=", "cus_1")], ["id"])
wrapper.open_scan([Qual("id", "=", "cus_1")], ["id"])
assert gc.isenabled() and gc.get_freeze_count() > 1000
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def modules() -> set[str]:
    found = subprocess.run([sys.executable, "-c", FIRST_READ], capture_output=True, text=True, check=True)
    return set(found.stdout.split())


@pytest.mark.parametrize("name", HEAVY)
def test_a_first_read_imports_nothing_that_it_does_not_need(modules: set[str], name: str) -> None:
    assert name not in modules
