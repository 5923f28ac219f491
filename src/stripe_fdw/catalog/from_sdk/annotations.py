"""Annotations of the SDK's fields as values: which types and literals a field may hold."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from stripe_fdw.catalog.from_sdk.source import Class

SCALARS = frozenset({"str", "int", "bool", "float", "Decimal"})
_MAPS = frozenset({"Any", "Dict", "UntypedStripeObject", "object", "Mapping"})
_OBJECTS_WITHOUT_CLASS = frozenset({"StripeObject"})


@dataclass(frozen=True)
class Shape:
    """The possible contents of a field, all alternatives of a union taken together."""

    nullable: bool = False
    required: bool = True  # False for NotRequired
    scalars: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()  # the scalars that are not limited to literals
    literals: tuple[str, ...] = ()
    classes: tuple[Class, ...] = ()  # nested objects
    expandable: tuple[Class, ...] = ()  # an id, or the object where it is expanded
    item: Shape | None = None  # of a list
    listed: Class | None = None  # the objects of an embedded, paged list
    mapping: bool = False  # an object with any keys, or any value

    def joined(self, other: Shape) -> Shape:
        """Return the union of both."""
        return Shape(
            nullable=self.nullable or other.nullable,
            required=self.required and other.required,
            scalars=self.scalars | other.scalars,
            open=self.open | other.open,
            literals=tuple(dict.fromkeys(self.literals + other.literals)),
            classes=tuple(dict.fromkeys(self.classes + other.classes)),
            expandable=tuple(dict.fromkeys(self.expandable + other.expandable)),
            item=self.item.joined(other.item) if self.item and other.item else self.item or other.item,
            listed=self.listed or other.listed,
            mapping=self.mapping or other.mapping,
        )

    @property
    def is_nested(self) -> bool:
        """Return True if the field may hold anything but a single scalar."""
        return bool(self.classes or self.item or self.listed or self.mapping)


def read_shape(annotation: ast.expr, scope: Class) -> Shape:
    """Return the shape of an annotation inside a class. Raises ValueError for an unsupported one."""
    match annotation:
        case ast.Constant(value=None):
            return Shape(nullable=True)
        case ast.Constant(value=str(text)):
            return read_shape(ast.parse(text, mode="eval").body, scope)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return read_shape(left, scope).joined(read_shape(right, scope))
        case ast.Name(id=name):
            return _named(name, scope)
        case ast.Subscript(value=ast.Name(id=name), slice=inside):
            return _subscript(name, inside, scope)
    raise ValueError(f"{scope.name}: the annotation {ast.unparse(annotation)} is not understood")


def _named(name: str, scope: Class) -> Shape:
    if name in SCALARS:
        return Shape(scalars=frozenset({name}), open=frozenset({name}))
    if name in _MAPS or name in _OBJECTS_WITHOUT_CLASS:
        return Shape(mapping=True)
    resolved = scope.resolve(name)
    if resolved is None:
        raise ValueError(f"{scope.name}: {name} is neither a class of the SDK nor a known type")
    return Shape(classes=(resolved,))


def _subscript(name: str, inside: ast.expr, scope: Class) -> Shape:
    if name == "Literal":
        return _literal(inside)
    if name in _MAPS:
        return Shape(mapping=True)
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    shape = Shape()
    for part in parts:
        shape = shape.joined(read_shape(part, scope))
    if name not in _WRAPPERS:
        raise ValueError(f"{scope.name}: {name}[...] is not understood")
    return _WRAPPERS[name](shape)


_WRAPPERS: Mapping[str, Callable[[Shape], Shape]] = {
    "Optional": lambda inner: inner.joined(Shape(nullable=True)),
    "Union": lambda inner: inner,
    "NotRequired": lambda inner: replace(inner, required=False),
    "List": lambda inner: Shape(item=inner),
    "ListObject": lambda inner: Shape(listed=inner.classes[0], mapping=True),
    "ExpandableField": lambda inner: Shape(scalars=frozenset({"str"}), expandable=inner.classes),
}


def _literal(inside: ast.expr) -> Shape:
    values = [ast.literal_eval(part) for part in (inside.elts if isinstance(inside, ast.Tuple) else [inside])]
    kinds = frozenset(type(value).__name__ for value in values)
    texts = tuple(value for value in values if isinstance(value, str))
    return Shape(scalars=kinds, literals=texts)
