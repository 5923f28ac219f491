"""The operations of the SDK's services: verb, path, parameters and response."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from stripe_fdw.catalog.from_sdk.annotations import Shape, read_shape
from stripe_fdw.catalog.from_sdk.source import Class, Source
from stripe_fdw.catalog.model import VERSION_2

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# Names in the SDK's paths that mean nothing to users, and what is shown for them.
_PLACEHOLDERS = {"subscription_exposed_id": "subscription"}
# Parameters that every list has and that select nothing.
PAGING = frozenset({"limit", "starting_after", "ending_before", "expand", "include", "page"})


@dataclass(frozen=True, eq=False)
class SdkOperation:
    """One method of one service."""

    name: str
    method: str
    path: str
    service: Class
    parameters: Class | None  # the TypedDict of its body or query
    parameters_required: bool
    listed: tuple[Class, ...]  # the objects in the list that it returns; () if it returns no list
    searched: bool
    answered: tuple[Class, ...] = ()  # the objects that it may answer with, one at a time
    description: str = ""  # the method's docstring (used as evidence, never copied)

    @property
    def shape_of_path(self) -> str:
        """The path with unnamed placeholders, since the SDK's methods use several names for one id."""
        return re.sub(r"\{\w+\}", "{}", self.path)

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the ids in the path, in order."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @property
    def is_version_2(self) -> bool:
        """True for an operation of version 2 of the API."""
        return self.path.startswith(VERSION_2)

    @property
    def is_list(self) -> bool:
        """True if it returns pages of a list."""
        return self.method == "GET" and bool(self.listed)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each parameter."""
        if self.parameters is None:
            return {}
        return {
            name: read_shape(member.annotation, self.parameters)
            for name, member in self.parameters.members.items()
        }


def read_operations(source: Source) -> list[SdkOperation]:
    """Return every operation once, ordered by path and verb."""
    operations: dict[tuple[str, str], SdkOperation] = {}
    for module in source.services():
        for service in module.classes.values():
            for operation in _service_operations(service):
                operations.setdefault((operation.path, operation.method), operation)
    return [operations[key] for key in sorted(operations)]


def _service_operations(service: Class) -> Iterator[SdkOperation]:
    for node in service.node.body:
        if not isinstance(node, ast.FunctionDef) or node.returns is None:
            continue
        call = _request_call(node)
        if call is None:
            continue
        parameters, required = _parameters(node, service)
        listed, searched = _response(node.returns, service)
        method, path = call
        answered = () if listed else _answered(node.returns, service)
        description = ast.get_docstring(node) or ""
        yield SdkOperation(
            node.name, method, path, service, parameters, required, listed, searched, answered, description
        )


def _request_call(node: ast.FunctionDef) -> tuple[str, str] | None:
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or ast.unparse(call.func) not in (
            "self._request",
            "self._request_stream",
        ):
            continue
        verb, path = call.args[:2]
        if isinstance(path, ast.Call) and isinstance(path.func, ast.Attribute):  # "...".format(...)
            path = path.func.value
        if isinstance(verb, ast.Constant) and isinstance(path, ast.Constant):
            return str(verb.value).upper(), _PLACEHOLDER.sub(_shown_placeholder, str(path.value))
    return None


def _shown_placeholder(match: re.Match[str]) -> str:
    return f"{{{_PLACEHOLDERS.get(match[1], match[1])}}}"


def _parameters(node: ast.FunctionDef, service: Class) -> tuple[Class | None, bool]:
    for argument in (*node.args.posonlyargs, *node.args.args):
        if argument.arg == "params" and argument.annotation is not None:
            shape = read_shape(argument.annotation, service)
            return (shape.classes[0] if shape.classes else None), not shape.nullable
    return None, False


def _answered(returns: ast.expr, service: Class) -> tuple[Class, ...]:
    """Return the classes of the object that is returned; () where the SDK does not say."""
    try:
        return read_shape(returns, service).classes
    except ValueError:
        return ()


def _response(returns: ast.expr, service: Class) -> tuple[tuple[Class, ...], bool]:
    """Return the objects of the list that is returned (several for a union), and True for a search."""
    if isinstance(returns, ast.Constant) and isinstance(returns.value, str):
        returns = ast.parse(returns.value, mode="eval").body
    if isinstance(returns, ast.Subscript):
        name = ast.unparse(returns.value)
        if name in ("ListObject", "SearchResultObject"):
            return read_shape(returns.slice, service).classes, name == "SearchResultObject"
    return (), False
