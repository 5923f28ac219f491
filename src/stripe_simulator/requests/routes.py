"""Routes: the operation of the catalog for a method and a path."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from stripe_fdw.catalog.model import Catalog, Operation, Resource


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, perhaps of a resource.

    `action` is list, retrieve, create, update, delete, search or the name of another operation.
    `is_standard` is True for the first six.
    """

    action: str
    template: str
    resource: Resource | None
    operation: Operation | None
    is_standard: bool = False


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None  # the step of an id
    name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)


# Routes that the API still has although it does not declare them any more.
_UNDECLARED = (
    ("GET", "/v1/charges/{charge}/dispute"),
    ("GET", "/v1/charges/{charge}/refunds"),
    ("GET", "/v1/charges/{charge}/refunds/{refund}"),
)


class Router:
    """All routes as a tree of path steps; a literal step takes precedence over an id."""

    def __init__(self, catalog: Catalog) -> None:
        self._root = _Node()
        for method, template in _UNDECLARED:
            self._add(method, template, Route("undeclared", template, None, None))
        for operation in catalog.operations:
            self._add(
                operation.method, operation.path, Route(operation.name, operation.path, None, operation)
            )
        for resource in catalog.resources:
            if resource.is_listed:
                route = Route("list", resource.list_path, resource, None, is_standard=True)
                self._add("GET", resource.list_path, route)
            for operation in resource.operations:
                self._add_operation(operation.name, operation, resource, is_standard=False)
        for resource in catalog.resources:
            if resource.search_path:
                search = Route("search", resource.search_path, resource, None, is_standard=True)
                self._add("GET", resource.search_path, search)
            standard = {
                "retrieve": resource.retrieve,
                "create": resource.create,
                "update": resource.update,
                "delete": resource.delete,
            }
            for name, standard_operation in standard.items():
                if standard_operation is not None:
                    self._add_operation(name, standard_operation, resource, is_standard=True)

    def _add_operation(
        self, action: str, operation: Operation, resource: Resource, *, is_standard: bool
    ) -> None:
        route = Route(action, operation.path, resource, operation, is_standard)
        self._add(operation.method, operation.path, route)

    def _add(self, method: str, template: str, route: Route) -> None:
        node = self._root
        for step in template.strip("/").split("/"):
            if step.startswith("{"):
                if node.any is None:
                    node.any = _Node(name=step[1:-1])
                node = node.any
            else:
                node = node.literal.setdefault(step, _Node())
        node.routes[method] = route

    def find(self, method: str, path: str) -> tuple[Route, list[str]] | None:
        """Return the route and the ids in the path, in order; None where there is no such route."""
        steps = path[1:].split("/")
        if not all(steps):
            return None
        match = self._walk(self._root, steps, 0, [])
        if match is None:
            return None
        node, ids = match
        route = node.routes.get(method)
        return None if route is None else (route, ids)

    def _walk(self, node: _Node, steps: list[str], at: int, ids: list[str]) -> tuple[_Node, list[str]] | None:
        if at == len(steps):
            return (node, ids) if node.routes else None
        below = node.literal.get(steps[at])
        if below is not None:
            match = self._walk(below, steps, at + 1, ids)
            if match is not None:
                return match
        if node.any is not None:
            return self._walk(node.any, steps, at + 1, [*ids, unquote(steps[at])])
        return None
