"""dbt: sources over copies and live tables, models, data tests and freshness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import pytest

from support.database import count

from .conftest import ToolsDatabase

pytestmark = pytest.mark.dbt
DBT = Path(sys.prefix) / "dbt" / "bin" / "dbt"
PROJECT = {
    "dbt_project.yml": "{name: shop, profile: shop, model-paths: [models]}",
    "profiles.yml": """
shop:
  target: dev
  outputs:
    dev: {type: postgres, host: %(host)s, port: %(port)s, user: %(user)s, password: '', dbname: %(name)s,
          schema: reports, threads: 2}
""",
    "models/sources.yml": """
sources:
  - name: stripe
    tables:
      - name: subscription
        columns: [{name: id, data_tests: [not_null, unique]}]
      - name: customer
        config:
          loaded_at_query: select max(finished_at) from stripe_sync.status where resource = 'customer'
          freshness: {warn_after: {count: 2, period: hour}, error_after: {count: 1, period: day}}
  - name: stripe_live
    tables: [{name: price}]
""",
    "models/by_status.sql": (
        "select status, count(*) as subscriptions from {{ source('stripe', 'subscription') }} group by status"
    ),
    "models/prices.sql": (
        "{{ config(materialized='table') }}"
        " select id, unit_amount, currency from {{ source('stripe_live', 'price') }}"
    ),
}


def test_dbt_builds_models_over_copies_and_live_tables_and_knows_how_fresh_copies_are(
    tools: ToolsDatabase, tmp_path: Path
) -> None:
    parts = urlsplit(tools.dsn)
    query = parse_qs(parts.query)
    place = {
        "host": unquote(query["host"][0]),
        "port": query.get("port", ["5432"])[0],
        "user": parts.username or query.get("user", ["postgres"])[0],
        "name": parts.path.lstrip("/"),
    }
    (tmp_path / "models").mkdir()
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text % place if name == "profiles.yml" else text)
    environment = {**os.environ, "DBT_PROFILES_DIR": str(tmp_path), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    for arguments in (["build"], ["source", "freshness"]):
        done = subprocess.run(
            [DBT, *arguments], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    freshness = json.loads((tmp_path / "target" / "sources.json").read_text())["results"]
    assert [result["status"] for result in freshness] == ["pass"]
    with psycopg.connect(tools.dsn) as session:
        counted = count(session, "select sum(subscriptions)::int from reports.by_status")
        assert counted == count(session, "select count(*) from stripe.subscription") > 0
        prices = count(session, "select count(*) from reports.prices")
        assert prices == count(session, "select count(*) from stripe_live.price") > 0
