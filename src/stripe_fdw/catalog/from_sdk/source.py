"""The modules and classes of the installed SDK, parsed with ``ast`` and never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path


def sdk_root() -> Path:
    """Return the folder of the installed ``stripe`` package, without importing it.

    Raises:
        ModuleNotFoundError: the SDK is not installed.

    """
    spec = find_spec("stripe")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the catalog is built from the stripe SDK, which is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


@dataclass(frozen=True)
class Member:
    """A field of a class, with its annotation and its docstring (used as evidence, never copied)."""

    name: str
    annotation: ast.expr
    description: str


@dataclass(frozen=True, eq=False)
class Class:
    """A class of the SDK: its place in a module, its inner classes and fields."""

    module: Module
    node: ast.ClassDef
    outer: Class | None = None

    @property
    def name(self) -> str:
        """The qualified name inside the module."""
        return f"{self.outer.name}.{self.node.name}" if self.outer else self.node.name

    @cached_property
    def object_name(self) -> str:
        """The API's name of the object (``checkout.session``), or "" if the class is no API object."""
        for statement in self.node.body:
            if (
                isinstance(statement, ast.AnnAssign)
                and ast.unparse(statement.target) == "OBJECT_NAME"
                and isinstance(statement.value, ast.Constant)
            ):
                return str(statement.value.value)
        return ""

    @cached_property
    def inner(self) -> dict[str, Class]:
        """The classes defined inside this one."""
        return {node.name: Class(self.module, node, self) for node in _classes(self.node.body)}

    @cached_property
    def members(self) -> dict[str, Member]:
        """The fields in the SDK's order; those named like Python keywords are in a base TypedDict."""
        members = dict(self._base_members())
        body = self.node.body
        for position, statement in enumerate(body):
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            name = statement.target.id
            if name.isupper() or name.startswith("_"):
                continue
            if iskeyword(name.removesuffix("_")):  # the SDK writes "from_" for the API's "from"
                name = name.removesuffix("_")
            following = body[position + 1] if position + 1 < len(body) else None
            members[name] = Member(name, statement.annotation, _text(following))
        return members

    def _base_members(self) -> Iterator[tuple[str, Member]]:
        for base in self.node.bases:
            if not isinstance(base, ast.Name):
                continue
            fields = self.module.functional_types.get(base.id, {})
            for name, annotation in fields.items():
                yield name, Member(name, annotation, "")

    def resolve(self, name: str) -> Class | None:
        """Return the class that a name refers to inside this class, or None if it is no class of the SDK."""
        scope: Class | None = self
        while scope is not None:
            if name in scope.inner:
                return scope.inner[name]
            scope = scope.outer
        return self.module.resolve(name)


@dataclass(frozen=True, eq=False)
class Module:
    """A file of the SDK."""

    source: Source
    name: str
    tree: ast.Module

    @cached_property
    def classes(self) -> dict[str, Class]:
        """The classes at the top level."""
        return {node.name: Class(self, node) for node in _classes(self.tree.body)}

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """Imported name → (module, name there), for imports anywhere in the file."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    @cached_property
    def functional_types(self) -> dict[str, dict[str, ast.expr]]:
        """Types written as ``Base = TypedDict("Base", {"from": ...})``: name → fields."""
        types: dict[str, dict[str, ast.expr]] = {}
        for statement in self.tree.body:
            if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
                continue
            arguments = statement.value.args
            if len(arguments) == 2 and isinstance(arguments[1], ast.Dict):
                fields = arguments[1]
                types[ast.unparse(statement.targets[0])] = {
                    str(key.value): value
                    for key, value in zip(fields.keys, fields.values, strict=True)
                    if isinstance(key, ast.Constant)
                }
        return types

    def resolve(self, name: str) -> Class | None:
        """Return the class that a name refers to at the module's top level, or None."""
        if name in self.classes:
            return self.classes[name]
        if name in self.imports:
            module, original = self.imports[name]
            return self.source.find(module, original)
        return None


@dataclass(frozen=True, eq=False)
class Source:
    """The SDK's files, each parsed once, on first use."""

    root: Path
    _modules: dict[str, Module | None] = field(default_factory=dict)

    def module(self, name: str) -> Module | None:
        """Return a module by its dotted name, or None if it is outside the SDK."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: str) -> Module | None:
        package, *parts = name.split(".")
        path = self.root.joinpath(*parts)
        if package != "stripe":
            return None
        file = path.with_suffix(".py") if parts and not path.is_dir() else path / "__init__.py"
        if not file.is_file():
            return None
        return Module(self, name, ast.parse(file.read_text("utf-8")))

    def find(self, module: str, name: str) -> Class | None:
        """Return a class by its module's dotted name and its own name, or None."""
        parsed = self.module(module)
        return parsed.resolve(name) if parsed else None

    def services(self) -> Iterator[Module]:
        """Yield every module of services, in a fixed order."""
        for file in sorted(self.root.rglob("*_service.py")):
            dotted = ".".join(file.relative_to(self.root).with_suffix("").parts)
            module = self.module(f"stripe.{dotted}")
            if module is not None:
                yield module

    def object_names(self) -> frozenset[str]:
        """Return the API's names of all objects of its first version."""
        names = set()
        for file in sorted(self.root.rglob("_*.py")):
            parts = file.relative_to(self.root).with_suffix("").parts
            if parts[0] in ("v2", "events", "params"):
                continue
            module = self.module(".".join(("stripe", *parts)))
            names |= {item.object_name for item in module.classes.values()} if module else set()
        return frozenset(names - {""})

    def constant(self, module: str, name: str) -> str:
        """Return a string constant of a module or of a class in it.

        Raises:
            LookupError: the module has no such constant.

        """
        parsed = self.module(module)
        for node in ast.walk(parsed.tree) if parsed else ():
            if (
                isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == name
                and isinstance(node.value, ast.Constant)
            ):
                return str(node.value.value)
        raise LookupError(f"{module} has no constant {name}")


def _classes(body: list[ast.stmt]) -> Iterator[ast.ClassDef]:
    return (node for node in body if isinstance(node, ast.ClassDef))


def _text(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return str(statement.value.value).strip()
    return ""
