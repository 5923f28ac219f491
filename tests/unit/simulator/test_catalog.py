"""Every list and every filter of the catalog, compared with a filter of all objects in Python."""

import pytest

from stripe_fdw.catalog import Filter, Kind, Resource, load
from stripe_simulator.process import SimulatorProcess
from support.simulators import Simulators

CATALOG = load()
LISTED = [
    resource
    for resource in CATALOG.resources
    if resource.has_copy and not resource.parents and not any(item.required for item in resource.filters)
]


@pytest.fixture(scope="module")
def running(simulators: Simulators) -> SimulatorProcess:
    """A simulator with several pages of most objects, since each filter reads all of them."""
    return simulators(customers=400)


def values_at(value: object, path: tuple[str, ...]) -> list[object]:
    """Return the values at a path; a list on the way gives several."""
    if not path:
        return [value["id"] if isinstance(value, dict) and "id" in value else value]
    if isinstance(value, list):
        return [inner for element in value for inner in values_at(element, path)]
    return values_at(value.get(path[0]), path[1:]) if isinstance(value, dict) else [None]


def everything(reader, resource: Resource) -> list[dict]:
    path = resource.list_path.removeprefix("/v1")
    if not resource.paged:
        return reader.page(path, **dict(resource.defaults))["data"]
    return [
        values
        for further in ((), *resource.further_lists)
        for values in reader.all(path, **{**dict(resource.defaults), **dict(further)})
    ]


@pytest.mark.parametrize("resource", LISTED, ids=lambda resource: resource.name)
def test_every_filter_selects_what_it_says(reader, resource):
    objects = everything(reader, resource)
    assert len({values["id"] for values in objects}) == len(objects)
    if resource.newest_first and objects and "created" in objects[0] and not resource.further_lists:
        times = [values["created"] for values in objects]
        assert times == sorted(times, reverse=True)
    for item in resource.filters:
        column = resource.column[item.column]
        if column.path and item.parameter not in dict(resource.defaults):
            check_filter(reader, resource, item, column.path, objects)


def check_filter(
    reader, resource: Resource, item: Filter, path: tuple[str, ...], objects: list[dict]
) -> None:
    present = {value for values in objects for value in values_at(values, path) if value is not None}
    candidates = [value for value in sorted(present, key=str) if not item.values or value in item.values]
    # Lists inside objects show ten: what lies beyond can be found, but not be seen here.
    exact = "data" not in path
    for value in [*candidates[:3], *candidates[-1:]]:
        sent = str(value).lower() if isinstance(value, bool) else value
        if item.equal or item.any_of:
            name = item.parameter if item.equal else f"{item.parameter}[]"
            params = {**dict(resource.defaults), **dict(item.extra_parameters), name: sent}
            compare(
                reader,
                resource,
                params,
                path,
                objects,
                lambda actual, expected=value: actual == expected,
                exact,
            )
        if item.range:
            params = {**dict(resource.defaults), f"{item.parameter}[gt]": sent}
            compare(
                reader,
                resource,
                params,
                path,
                objects,
                lambda actual, expected=value: actual is not None and actual > expected,
                exact,
            )
    if resource.column[item.column].kind is Kind.TIME and item.range:
        params = {**dict(resource.defaults), f"{item.parameter}[lt]": 1}
        assert reader.all(resource.list_path.removeprefix("/v1"), **params) == []


def compare(reader, resource, params, path, objects, matches, exact) -> None:
    listed = {values["id"] for values in reader.all(resource.list_path.removeprefix("/v1"), **params)}
    expected = {values["id"] for values in objects if any(map(matches, values_at(values, path)))}
    if resource.further_lists:  # one list at a time
        assert listed <= expected, params
    elif exact:
        assert listed == expected, params
    else:
        assert expected <= listed, params
