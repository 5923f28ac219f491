"""The parameters of a planned request: column values at the paths where its operation takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from msgspec import Struct, field

from stripe_fdw import sqlstates
from stripe_fdw.api.request import Method, Request
from stripe_fdw.catalog.model import VERSION_2, Column, Operation, Parameter, Resource, Transition
from stripe_fdw.errors import ColumnError
from stripe_fdw.exact_json import Json
from stripe_fdw.fdw.planning.pushdown import placeholders
from stripe_fdw.fdw.writing.values.nested import OMIT, encode_untyped, with_nulls


class RequestBody(Struct):
    """The parameters of one operation, as a tree of objects, lists and single values."""

    resource: Resource
    operation: Operation
    tree: Json = field(default_factory=dict)
    is_operation: bool = False  # a change of state, which is sent also without parameters
    answers_object: bool = True  # the response is the row's object
    before_update: bool = False  # sent before the update of other columns
    columns: list[str] = field(default_factory=list)  # whose values are set

    @property
    def is_empty(self) -> bool:
        """Return True if no request is needed."""
        return not self.is_operation and not self.tree

    def has_parameter(self, name: str) -> bool:
        """Return True if the operation has a parameter of this name."""
        return any(item.name == name.partition("[")[0] for item in self.operation.parameters)

    def takes_column(self, column: Column) -> bool:
        """Return True if the operation has a parameter for the column's value."""
        return any(item.accepts(column) for item in self.operation.parameters)

    def path_of(self, name: str) -> tuple[str, ...]:
        """Return the path in the tree at which a column's value is sent."""
        if self.operation is self.resource.create:
            return self.resource.create_paths.get(name, (name,))
        return (
            self.resource.update_paths.get(name, (name,))
            if self.operation is self.resource.update
            else (name,)
        )

    def parameter_of(self, name: str) -> Parameter | None:
        """Return the parameter that takes a column's value; None where the catalog does not have it."""
        parameters, parameter = self.operation.parameters, None
        for step in self.path_of(name):
            if step.isdecimal():  # a place in a list, whose objects have the same parameters
                continue
            parameter = next((item for item in parameters if item.name == step), None)
            parameters = parameter.fields if parameter else ()
        return parameter

    def set_transition(self, transition: Transition, value: Any) -> None:
        """Make this the operation of a change of state, with the encoded value of its column, or OMIT."""
        self.is_operation = True
        self.answers_object = transition.answers_object
        self.before_update = self.before_update or transition.before_update
        for name, word in transition.extra_parameters:
            _set_path(self.tree, split_path(name), word)
        if transition.value_parameter and value is not OMIT:
            self.tree[transition.value_parameter] = value

    def set_column(self, column: str, value: Any) -> None:
        """Set a column's encoded value. Raises ColumnError where another column sets another value there."""
        if value is OMIT:
            return
        path = self.path_of(column)
        if not _set_path(self.tree, path, value):
            name = path[0] + "".join(f"[{step}]" for step in path[1:])
            others = [f'"{other}"' for other in self.columns if self.path_of(other)[0] == path[0]]
            raise ColumnError(
                f'"{column}" and {" and ".join(others) or "the change of state"} give two values for {name}',
                hint="Give one of them.",
                sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
            )
        self.columns.append(column)
        for place in self.resource.write_paths:
            if place.column == column and place.path == path:
                for name, word in place.extra_parameters:
                    _set_path(self.tree, split_path(name), word)

    def merge_parameters(self, params: Json) -> None:
        """Merge the parameters of _params into the tree; they win over columns."""
        sent = params if self.operation.path.startswith(VERSION_2) else cast("Json", encode_untyped(params))
        _merge(self.tree, sent)

    def build(self, ids: Mapping[str, str]) -> Request:
        """Return the request. ``ids`` has the parents' ids by column, and the object's own id as ``""``."""
        above = [ids[parent.column] for parent in self.resource.parents]
        names = placeholders(self.operation.path)
        filled = dict(zip(names, [*above, ids.get("", "")][: len(names)], strict=True))
        path = self.operation.path
        tree = with_nulls(self.tree) if path.startswith(VERSION_2) else self.tree
        return Request.of(cast("Method", self.operation.method), path, tree, **filled)


def split_path(name: str) -> tuple[str, ...]:
    """Return the keys of a parameter's name: ``promotion[type]`` as ``("promotion", "type")``."""
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
    """Return an object with the values of both, where those of ``part`` win; ``part`` if one is no object."""
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
