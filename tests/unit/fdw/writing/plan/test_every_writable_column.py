"""Every column that the catalog calls writable is sent, where the catalog says, on creation and on update."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from stripe_fdw.api.request import Request, flatten
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Column, Kind, Operation, Parameter, Resource
from stripe_fdw.errors import ColumnError, StripeFdwError
from stripe_fdw.fdw.writing.plan.planner import plan_insert, plan_update
from support.cases import each

SINGLES: Mapping[Kind, Any] = {
    Kind.TEXT: "x",
    Kind.REFERENCE: "x_1",
    Kind.INTEGER: 5,
    Kind.BOOLEAN: True,
    Kind.DECIMAL: Decimal("1.5"),
    Kind.FLOAT: 1.5,
    Kind.TIME: datetime(2026, 3, 1, tzinfo=UTC),
    Kind.TIMESTAMP: datetime(2026, 3, 1, tzinfo=UTC),
}
RESOURCES = [item for item in load().resources if item.create or item.update]


def found_at(operation: Operation, path: tuple[str, ...]) -> Parameter:
    """The parameter at a path; a number is a place in a list."""
    parameters, parameter = operation.parameters, None
    for step in path:
        if not step.isdecimal():
            parameter = next(item for item in parameters if item.name == step)
            parameters = parameter.fields
    assert parameter is not None
    return parameter


def sample(column: Column, parameter: Parameter) -> Any:
    """A value for the column; of objects the first field."""
    if column.kind is not Kind.JSON:
        return SINGLES[column.kind]
    if column.name == "metadata":
        return {"a": "1"}
    value: Any = "x"
    if parameter.fields:
        first = parameter.fields[0]
        value = {first.name: _nested(first)}
    elif not parameter.is_list:
        value = {"a": "1"}
    return [value] if parameter.is_list else value


def _nested(parameter: Parameter) -> Any:
    if parameter.kind is not Kind.JSON:
        if parameter.kind is Kind.TIMESTAMP:
            return "2026-03-01T00:00:00Z"
        return 1772323200 if parameter.kind is Kind.TIME else SINGLES[parameter.kind]
    value: Any = "x"
    if parameter.fields:
        value = {parameter.fields[0].name: _nested(parameter.fields[0])}
    elif not parameter.is_list:
        value = {"a": "1"}
    return [value] if parameter.is_list else value


def named(path: tuple[str, ...]) -> str:
    """``("promotion", "coupon")`` as ``promotion[coupon]``."""
    return path[0] + "".join(f"[{step}]" for step in path[1:])


def is_sent(request: Request, path: tuple[str, ...]) -> bool:
    name = named(path)
    params = tuple(flatten(orjson.loads(request.body))) if request.body else request.params
    return any(sent == name or sent.startswith(name + "[") for sent, _ in params)


def required(resource: Resource, operation: Operation) -> dict[str, Any]:
    """Parameters that let creation pass."""
    groups = [item.name for item in operation.parameters if item.required] + [g[0] for g in operation.one_of]
    return dict.fromkeys(groups, "x")


@each("resource", RESOURCES, ids=lambda item: item.name)
def test_every_creatable_column_is_sent(resource: Resource) -> None:
    operation = resource.create
    if operation is None:
        with pytest.raises(StripeFdwError, match="cannot insert into"):
            plan_insert(resource, {})
        return
    above = {parent.column: "x_1" for parent in resource.parents}
    for name, path in resource.create_paths.items():
        if name in above:
            continue
        value = sample(resource.column[name], found_at(operation, path))
        needed = {key: word for key, word in required(resource, operation).items() if key != path[0]}
        plan = plan_insert(resource, {**above, name: value, "_params": needed})
        (request,) = plan.requests
        assert request.request.method == "POST"
        assert "{" not in request.request.path
        assert is_sent(request.request, path), (name, request.request)


@each("resource", RESOURCES, ids=lambda item: item.name)
def test_every_updatable_column_is_sent(resource: Resource) -> None:
    above = {parent.column: "x_1" for parent in resource.parents}
    old = {"id": "x_9", **above, "_raw": {"id": "x_9", **above}}
    operating = {item.column for item in resource.transitions}
    for name, path in resource.update_paths.items():
        if name in operating | above.keys() or resource.update is None:
            continue
        value = sample(resource.column[name], found_at(resource.update, path))
        plan = plan_update(resource, old, {name: value})
        (request,) = plan.requests
        assert "{" not in request.request.path
        assert resource.single or request.request.path.endswith("/x_9")
        assert is_sent(request.request, path), (name, request.request)
        assert plan_update(resource, old, {name: None}).requests == ()


@each("resource", RESOURCES, ids=lambda item: item.name)
def test_no_other_column_is_sent(resource: Resource) -> None:
    above = {parent.column: "x_1" for parent in resource.parents}
    old: dict[str, Any] = {"id": "x_9", **above, "_raw": {"id": "x_9", **above}}
    operating = {item.column for item in resource.transitions}
    for name, column in resource.column.items():
        value = {"a": "1"} if column.kind is Kind.JSON else SINGLES[column.kind]
        if name not in resource.update_paths and name not in operating and old.get(name) != value:
            with pytest.raises(StripeFdwError, match=r"cannot be changed|cannot update"):
                plan_update(resource, old, {name: value})
        if resource.create and name not in resource.create_paths and name not in old.keys() - {"id"}:
            with pytest.raises(ColumnError, match="cannot be set"):
                plan_insert(resource, {name: value})
