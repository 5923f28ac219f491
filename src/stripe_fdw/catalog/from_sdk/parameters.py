"""The parameters of operations, and the shapes of those that are objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from stripe_fdw.catalog.from_sdk.annotations import Shape, read_shape
from stripe_fdw.catalog.from_sdk.columns import scalar_kind
from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.from_sdk.source import Class
from stripe_fdw.catalog.model import Kind, Operation, Parameter
from stripe_fdw.catalog.overlay.columns import NESTED_KINDS
from stripe_fdw.catalog.overlay.writes import ONE_OF, REPLACED_WHOLE, RESETS

Fields = tuple[Parameter, ...]


@dataclass
class Shapes:
    """What each object takes, by the name of the class; classes that take the same share the first's name."""

    fields: dict[str, Fields] = field(default_factory=dict)
    _names: dict[Fields, str] = field(default_factory=dict)
    _known: dict[tuple[str, ...], str] = field(default_factory=dict)

    def operation(self, item: SdkOperation) -> Operation:
        """An operation with its parameters, required ones first."""
        one_of = ONE_OF.get(f"{item.method} {item.path}", ())
        made = self._fields([item.parameters]) if item.parameters else ()
        return Operation(item.name, item.method, item.path, made, one_of)

    def at(self, operation: Operation | None, path: Iterable[str]) -> Parameter | None:
        """The parameter that a path leads to, in which a number means an object of a list; None without."""
        inside = operation.parameters if operation else ()
        found = None
        for step in path:
            if not step.isdigit():
                found = next((item for item in inside if item.name == step), None)
                inside = self.fields[found.shape] if found and found.shape else ()
        return found

    def _fields(self, classes: list[Class]) -> Fields:
        """What any of the classes takes; required is what all of them require."""
        found: dict[str, Parameter] = {}
        for item in classes:
            for name, member in item.members.items():
                made = self._parameter(name, read_shape(member.annotation, item), member.description)
                made = replace(made, resets=RESETS.get(item.name, {}).get(name, ()))
                found[name] = _joined(found[name], made) if name in found else made
        everywhere = set.intersection(*(set(item.members) for item in classes))
        made_all = [
            each if each.name in everywhere else replace(each, required=False) for each in found.values()
        ]
        return tuple(sorted(made_all, key=lambda each: (not each.required, each.name)))

    def _parameter(self, name: str, shape: Shape, description: str) -> Parameter:
        literals = tuple(value for value in shape.literals if value)
        scalars = shape.scalars
        if not literals and "str" not in shape.open:  # text only as the empty one, which unsets
            scalars -= {"str"}
        if "int" in scalars and literals:  # "now", or a time
            scalars -= {"str"}
        plain = replace(shape, scalars=scalars, literals=literals)
        if "str" in shape.open and plain.classes:  # an id, or an object in its place
            plain = Shape(scalars=frozenset({"str"}))
        kind = scalar_kind(plain, name, description)
        if kind in (Kind.INTEGER, Kind.TIME):
            kind = NESTED_KINDS.get(name, kind)
        return Parameter(
            name,
            kind,
            shape.required,
            literals or (shape.item.literals if shape.item else ()),
            unsettable="" in shape.literals,
            is_list=shape.item is not None,
            shape=self._shape(list(_classes(shape))),
            replaced_whole=name in REPLACED_WHOLE and kind is Kind.JSON and shape.item is None,
        )

    def _shape(self, classes: list[Class]) -> str:
        """The name of the shape that these classes have together; "" where nothing is known of them."""
        if not classes:
            return ""
        key = tuple(f"{item.module.name}.{item.name}" for item in classes)
        if key not in self._known:
            fields = self._fields(classes)
            name = self._names.setdefault(fields, _name(classes[0])) if fields else ""
            if name and self.fields.setdefault(name, fields) != fields:
                raise ValueError(f"two different objects would both be called {name}")
            self._known[key] = name
        return self._known[key]


def _classes(shape: Shape) -> Iterator[Class]:
    """The objects that may stand in a parameter, or in the list that it is."""
    yield from shape.classes
    if shape.item:
        yield from _classes(shape.item)


def _name(item: Class) -> str:
    """The class with its namespace: ``issuing.CardCreateParamsShipping``."""
    *namespace, _ = item.module.name.removeprefix("stripe.params.").split(".")
    return ".".join((*namespace, item.name))


def _joined(one: Parameter, other: Parameter) -> Parameter:
    """A parameter that several alternatives of an object know."""
    return replace(
        one,
        required=one.required and other.required,
        values=tuple(dict.fromkeys(one.values + other.values)) if one.values and other.values else (),
        shape=one.shape if one.shape == other.shape else "",
    )
