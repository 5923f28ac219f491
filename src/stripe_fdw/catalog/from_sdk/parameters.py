"""Parameters of operations, and the shapes of those that are objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from stripe_fdw.catalog.from_sdk.annotations import Shape, read_shape
from stripe_fdw.catalog.from_sdk.columns import scalar_kind
from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.from_sdk.source import Class
from stripe_fdw.catalog.model import Kind, Operation, Parameter, ParameterFields
from stripe_fdw.catalog.overlay.columns import NESTED_KINDS
from stripe_fdw.catalog.overlay.writes import ONE_OF, REPLACED_WHOLE, RESETS

MODULES_OF_VERSION_2 = "stripe.params.v2."


@dataclass
class Shapes:
    """Fields of nested objects by name of their shape; classes with equal fields share a name."""

    fields: dict[str, ParameterFields] = field(default_factory=dict)
    _names: dict[ParameterFields, str] = field(default_factory=dict)
    _shape_of_classes: dict[tuple[str, ...], str] = field(default_factory=dict)

    def operation(self, item: SdkOperation) -> Operation:
        """Return an operation with its parameters, required ones first."""
        one_of = ONE_OF.get(f"{item.method} {item.path}", ())
        parameters = self._fields([item.parameters]) if item.parameters else ()
        return Operation(item.name, item.method, item.path, parameters, one_of)

    def at(self, operation: Operation | None, path: Iterable[str]) -> Parameter | None:
        """Return the parameter at a path, or None. A number in the path is an index of a list."""
        parameters = operation.parameters if operation else ()
        parameter = None
        for step in path:
            if not step.isdigit():
                parameter = next((item for item in parameters if item.name == step), None)
                parameters = self.fields[parameter.shape] if parameter and parameter.shape else ()
        return parameter

    def _fields(self, classes: list[Class]) -> ParameterFields:
        """Return the fields of any of the classes; a field is required if all of them require it."""
        by_name: dict[str, Parameter] = {}
        for item in classes:
            for name, member in item.members.items():
                shape = read_shape(member.annotation, item)
                version_2 = item.module.name.startswith(MODULES_OF_VERSION_2)
                parameter = self._parameter(name, shape, member.description, version_2=version_2)
                parameter = replace(parameter, resets=RESETS.get(item.name, {}).get(name, ()))
                by_name[name] = _joined(by_name[name], parameter) if name in by_name else parameter
        in_all = set.intersection(*(set(item.members) for item in classes))
        parameters = [
            parameter if parameter.name in in_all else replace(parameter, required=False)
            for parameter in by_name.values()
        ]
        return tuple(sorted(parameters, key=lambda parameter: (not parameter.required, parameter.name)))

    def _parameter(self, name: str, shape: Shape, description: str, *, version_2: bool) -> Parameter:
        literals = tuple(value for value in shape.literals if value)
        scalars = shape.scalars
        if not literals and "str" not in shape.open:  # the only text is "", which unsets
            scalars -= {"str"}
        if "int" in scalars and literals:  # "now", or a time
            scalars -= {"str"}
        plain = replace(shape, scalars=scalars, literals=literals)
        if "str" in shape.open and plain.classes:  # an id or an object
            plain = Shape(scalars=frozenset({"str"}))
        kind = scalar_kind(plain, name, description, version_2=version_2)
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
        """Return the name of the shape of these classes together, or "" if they have no fields."""
        if not classes:
            return ""
        key = tuple(f"{item.module.name}.{item.name}" for item in classes)
        if key not in self._shape_of_classes:
            fields = self._fields(classes)
            name = self._names.setdefault(fields, _name(classes[0])) if fields else ""
            if name and self.fields.setdefault(name, fields) != fields:
                raise ValueError(f"two different objects would both be called {name}")
            self._shape_of_classes[key] = name
        return self._shape_of_classes[key]


def _classes(shape: Shape) -> Iterator[Class]:
    """Yield the classes of a parameter that is an object, or a list of objects."""
    yield from shape.classes
    if shape.item:
        yield from _classes(shape.item)


def _name(item: Class) -> str:
    """Return the class with its namespace: ``issuing.CardCreateParamsShipping``."""
    *namespace, _ = item.module.name.removeprefix("stripe.params.").split(".")
    return ".".join((*namespace, item.name))


def _joined(first: Parameter, other: Parameter) -> Parameter:
    """Return a parameter that two alternatives of an object have."""
    return replace(
        first,
        required=first.required and other.required,
        values=tuple(dict.fromkeys(first.values + other.values)) if first.values and other.values else (),
        shape=first.shape if first.shape == other.shape else "",
    )
