"""A copy's columns have the values that the live tables show for the same objects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import urllib3

from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.copied_columns import copied_columns, copied_resources, secret_fields
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.fdw.backend.standalone import PlainColumn
from stripe_fdw.fdw.reading.rows import row_maker
from stripe_simulator.process import SimulatorProcess
from support.database import KEY

from .conftest import NOON


def _as_client(type_name: str, value: Any) -> Any:
    """The value as psycopg reads it, where a row has another form for Postgres."""
    if value is not None and type_name == "jsonb":
        return json.loads(value)
    if isinstance(value, int) and type_name == "timestamp with time zone":
        return datetime.fromtimestamp(value, UTC)
    return value


LISTED = [resource for resource in copied_resources(load()) if not resource.parents]


@pytest.mark.parametrize("resource", LISTED, ids=lambda resource: resource.name)
def test_copies_have_the_values_of_live_tables(
    copies: psycopg.Connection, simulator: SimulatorProcess, resource: object
) -> None:
    assert resource in LISTED
    resource = LISTED[LISTED.index(resource)]
    required = {item.parameter: item.values[0] for item in resource.filters if item.required and item.values}
    answer = urllib3.request(
        "GET",
        f"{simulator.url}{resource.list_path}",
        fields={**dict(resource.defaults), **required, "limit": "100"},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=20,
    )
    objects = answer.json().get("data") if answer.status == 200 else []
    for item in objects:  # the list expands nothing
        for name in secret_fields(resource):
            item.pop(name, None)
    apply(copies, Schemas(), resource, objects, Evidence(NOON))
    columns = [column for column in copied_columns(resource) if column.name != "_raw"]
    maker = row_maker(resource, [PlainColumn(column.name, column.type_name) for column in columns])
    names = ", ".join(f'"{column.name}"' for column in columns)
    copied = copies.execute(f'select {names} from stripe_copy."{resource.name}"'.encode()).fetchall()
    live = [
        tuple(_as_client(column.type_name, value) for column, value in zip(columns, row, strict=True))
        for row in maker.rows(objects)
    ]
    assert sorted(copied, key=lambda row: str(row[0])) == sorted(live, key=lambda row: str(row[0]))
