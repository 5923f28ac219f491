"""Which operation of the catalog a verb and a path mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from stripe_fdw.catalog.model import Catalog, Operation, Resource


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, perhaps on a resource.

    `action` is list, retrieve, create, update, delete, search or the name of another operation.
    """

    action: str
    template: str
    resource: Resource | None
    operation: Operation | None
    plain: bool = False  # the resource's own list, retrieve, create, update, delete or search


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None
    name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """All routes, found step by step; a literal step goes before an id."""

    def __init__(self, catalog: Catalog) -> None:
        self._root = _Node()
        for operation in catalog.operations:
            self._add(
                operation.method, operation.path, Route(operation.name, operation.path, None, operation)
            )
        for resource in catalog.resources:
            if not resource.preview:
                route = Route("list", resource.list_path, resource, None, plain=True)
                self._add("GET", resource.list_path, route)
            for operation in resource.operations:
                self._add_operation(operation.name, operation, resource, plain=False)
        for resource in catalog.resources:
            if resource.search_path:
                search = Route("search", resource.search_path, resource, None, plain=True)
                self._add("GET", resource.search_path, search)
            plain = {
                "retrieve": resource.retrieve,
                "create": resource.create,
                "update": resource.update,
                "delete": resource.delete,
            }
            for name, operation_ in plain.items():
                if operation_ is not None:
                    self._add_operation(name, operation_, resource, plain=True)

    def _add_operation(self, action: str, operation: Operation, resource: Resource, *, plain: bool) -> None:
        route = Route(action, operation.path, resource, operation, plain)
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
        """The route and the ids in the path, in order."""
        steps = path[1:].split("/")
        if not all(steps):
            return None
        node = self._walk(self._root, steps, 0, [])
        if node is None:
            return None
        found, ids = node
        route = found.routes.get(method)
        return None if route is None else (route, ids)

    def _walk(self, node: _Node, steps: list[str], at: int, ids: list[str]) -> tuple[_Node, list[str]] | None:
        if at == len(steps):
            return (node, ids) if node.routes else None
        below = node.literal.get(steps[at])
        if below is not None:
            found = self._walk(below, steps, at + 1, ids)
            if found is not None:
                return found
        if node.any is not None:
            return self._walk(node.any, steps, at + 1, [*ids, unquote(steps[at])])
        return None
