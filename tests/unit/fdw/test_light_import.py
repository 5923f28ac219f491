"""Before its first answer a backend imports nothing that only errors, writes or caches need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("stripe", "pydantic", "psycopg", "httpx", "click", "asyncio", "cachetools", "difflib")
ONLY_FOR_WRITES = (
    "stripe_fdw.fdw.writing",
    "stripe_fdw.fdw.tables.call",
    "stripe_fdw.fdw.tables.functions",
    "stripe_fdw.fdw.tables.lost_writes",
    "stripe_fdw.fdw.tables.written",
    "stripe_fdw.shared.write_journal",
)
FIRST_READ = """
import gc, sys
from stripe_fdw.imports import import_permanently
import_permanently("stripe_fdw.host.bridge")
open_table = import_permanently("stripe_fdw.fdw.tables.factory").open_table
from stripe_fdw.fdw.backend.standalone import PlainColumn, StandaloneHost
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.session import Session
options = {"object": "customer", "api_key": "sk_test_1"}
session = Session(StandaloneHost())
table = open_table(session, options, {"id": PlainColumn("id")})
table.size([Qual("id", "=", "cus_1")])
table.open_scan([Qual("id", "=", "cus_1")], ["id"], [], None, False)
assert gc.isenabled() and gc.get_freeze_count() > 1000
session.commit()
print(*sys.modules)
own = [module for name, module in sys.modules.items() if name.startswith("stripe_fdw")]
types = {item for module in own for item in vars(module).values() if isinstance(item, type)}
print(*(item.__name__ for item in types if "__dataclass_fields__" in vars(item)), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def first_read() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", FIRST_READ], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("name", HEAVY + ONLY_FOR_WRITES)
def test_a_first_read_imports_nothing_that_it_does_not_need(
    first_read: subprocess.CompletedProcess[str], name: str
) -> None:
    modules = first_read.stdout.split()
    assert "stripe_fdw.host.bridge" in modules
    assert name not in modules


def test_a_first_read_makes_few_dataclasses(first_read: subprocess.CompletedProcess[str]) -> None:
    """Each takes up to a millisecond to make, a ``Struct`` some microseconds."""
    assert set(first_read.stderr.split()) == {"Catalog", "Parameter"}
