"""A request in the making: values are put where an operation takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from stripe_fdw import sqlstates
from stripe_fdw.api.request import Method, Request
from stripe_fdw.catalog.model import Column, Operation, Parameter, Resource, Transition
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.planning.pushdown import placeholders
from stripe_fdw.fdw.writing.values.nested import OMIT, Json, encode_untyped


@dataclass(slots=True)
class RequestBody:
    """A request in the making."""

    resource: Resource
    operation: Operation
    tree: Json = field(default_factory=dict)
    wanted: bool = False  # also without parameters
    first: bool = False  # before an update
    given: list[str] = field(default_factory=list)  # columns that were put

    @property
    def empty(self) -> bool:
        """Whether no request is needed."""
        return not self.wanted and not self.tree

    def knows(self, name: str) -> bool:
        """Whether the operation has a parameter of this name."""
        return any(item.name == name.partition("[")[0] for item in self.operation.parameters)

    def takes(self, column: Column) -> bool:
        """Whether the operation has a parameter for the column's value."""
        return any(item.accepts(column) for item in self.operation.parameters)

    def path(self, name: str) -> tuple[str, ...]:
        """Where a column's value goes."""
        if self.operation is self.resource.create:
            return self.resource.create_paths.get(name, (name,))
        return (
            self.resource.update_paths.get(name, (name,))
            if self.operation is self.resource.update
            else (name,)
        )

    def parameter(self, name: str) -> Parameter | None:
        """The parameter that a column's value goes to, if it is known."""
        known, found = self.operation.parameters, None
        for step in self.path(name):
            if step.isdecimal():  # a place in a list, whose objects have the same parameters
                continue
            found = next((item for item in known if item.name == step), None)
            known = found.fields if found else ()
        return found

    def send(self, found: Transition, value: Any) -> None:
        """Make it the operation that a change of state is; ``value`` as it is sent, where it is."""
        self.wanted = True
        self.first = self.first or found.before_update
        for name, word in found.extra_parameters:
            _set_path(self.tree, split_path(name), word)
        if found.value_parameter and value is not OMIT:
            self.tree[found.value_parameter] = value

    def put(self, column: str, value: Any) -> None:
        """Add a column's value. Raises ColumnError where another column gives its place another one."""
        if value is OMIT:
            return
        path = self.path(column)
        if not _set_path(self.tree, path, value):
            name = path[0] + "".join(f"[{step}]" for step in path[1:])
            others = [f'"{other}"' for other in self.given if self.path(other)[0] == path[0]]
            raise ColumnError(
                f'"{column}" and {" and ".join(others) or "the change of state"} give two values for {name}',
                hint="Give one of them.",
                sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
            )
        self.given.append(column)
        for place in self.resource.write_paths:
            if place.column == column and place.path == path:
                for name, word in place.extra_parameters:
                    _set_path(self.tree, split_path(name), word)

    def merge(self, params: Json) -> None:
        """Add further parameters, which win."""
        _merge(self.tree, cast("Json", encode_untyped(params)))

    def request(self, ids: Mapping[str, str]) -> Request:
        """The request as it is sent; the path takes the parents' ids by column, the object's as ``""``."""
        above = [ids[parent.column] for parent in self.resource.parents]
        names = placeholders(self.operation.path)
        filled = dict(zip(names, [*above, ids.get("", "")][: len(names)], strict=True))
        return Request.of(cast("Method", self.operation.method), self.operation.path, self.tree, **filled)


def split_path(name: str) -> tuple[str, ...]:
    """``promotion[type]`` as its steps."""
    return tuple(part.rstrip("]") for part in name.split("["))


def _set_path(tree: Json, path: tuple[str, ...], value: Any) -> bool:
    """Put a value at the path; False if another one stands there."""
    inner = tree
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
        if not isinstance(inner, dict):
            return False
    before = inner.get(path[-1])
    if isinstance(before, dict) and isinstance(value, dict):
        return all(_set_path(before, (key,), item) for key, item in value.items())
    if path[-1] in inner and before != value:
        return False
    inner[path[-1]] = value
    return True


def merge_values(whole: Any, part: Any) -> Any:
    """Both, where they are objects; what the part says wins."""
    if not isinstance(whole, dict) or not isinstance(part, dict):
        return part
    tree = cast("Json", encode_untyped(whole))
    _merge(tree, part)
    return tree


def _merge(tree: Json, params: Json) -> None:
    for name, value in params.items():
        before = tree.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            _merge(before, value)
        else:
            tree[name] = value
