"""The lists that become tables, and the tables' names.

1. A list that needs no id in its path is a table named after its object: ``checkout.session`` becomes
   ``checkout_session``.
2. A list inside an object is a table named after its object, too, if no other list has that object.
3. Where one object has lists inside several others, or a list holds several kinds of object, the table is the
   parent's name and the list's, in the singular: ``quote_line_item``, ``customer_source``.
4. A list inside an object whose kind already has a table by rule 1 only repeats rows, so it is no table,
   unless the overlay says that it shows other rows.
5. The overlay renames tables whose object's name is unclear, and gives the reason.
"""

from __future__ import annotations

from collections import Counter

from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.overlay.tables import LISTS_LEFT_OUT, TABLE_NAMES


def table_names(lists: list[SdkOperation]) -> dict[str, SdkOperation]:
    """Return the lists that become tables, by the table's name in alphabetical order."""
    lists = [item for item in lists if item.path not in LISTS_LEFT_OUT]
    top_level = {item.listed[0].object_name for item in lists if not item.ids}
    counts = Counter(listed.object_name for item in lists for listed in item.listed[:1] if item.ids)
    parents = {item.shape_of_path: item.listed[0].object_name for item in lists if not item.ids}
    tables: dict[str, SdkOperation] = {}
    for item in lists:
        name = TABLE_NAMES.get(item.path) or _name(item, top_level, counts, parents)
        if name is None:
            continue
        if name in tables:
            raise ValueError(f"{item.path} and {tables[name].path} would both be the table {name}")
        tables[name] = item
    return dict(sorted(tables.items()))


def _name(
    item: SdkOperation, top_level: set[str], counts: Counter[str], parents: dict[str, str]
) -> str | None:
    object_name = item.listed[0].object_name
    if not item.ids:
        return object_name.replace(".", "_")
    if len(item.listed) == 1 and object_name in top_level:
        return None
    if len(item.listed) == 1 and counts[object_name] == 1:
        return object_name.replace(".", "_")
    parent_path, _, last = item.shape_of_path.rpartition("/{}/")
    parent = parents.get(parent_path, parent_path.rsplit("/", 1)[-1].removesuffix("s"))
    return f"{parent.replace('.', '_')}_{last.removesuffix('s')}"
