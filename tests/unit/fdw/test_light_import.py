"""Before its first answer a backend imports nothing that only errors, writes or caches need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("stripe", "pydantic", "psycopg", "httpx", "click", "asyncio", "cachetools", "difflib")
FIRST_READ = """
import gc, sys
from stripe_fdw.imports import import_permanently
open_table = import_permanently("stripe_fdw.fdw.tables.factory").open_table
from stripe_fdw.fdw.backend.standalone import PlainColumn, StandaloneHost
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.session import Session
options = {"object": "customer", "api_key": "sk_test_1"}
table = open_table(Session(StandaloneHost()), options, {"id": PlainColumn("id")})
table.size([Qual("id", "=", "cus_1")])
table.open_scan([Qual("id", "=", "cus_1")], ["id"], [], None, False)
assert gc.isenabled() and gc.get_freeze_count() > 1000
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def modules() -> set[str]:
    process = subprocess.run([sys.executable, "-c", FIRST_READ], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


@pytest.mark.parametrize("name", HEAVY)
def test_a_first_read_imports_nothing_that_it_does_not_need(modules: set[str], name: str) -> None:
    assert name not in modules
