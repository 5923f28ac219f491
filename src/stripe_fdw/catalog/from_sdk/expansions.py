"""The columns whose values Stripe sends only where a request expands them.

The SDK says so of few fields: in the description of the field itself, or in that of the operation that lists
the whole of an embedded list. The others are in ``overlay.expansions``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.model import Column, Resource
from stripe_fdw.catalog.overlay.expansions import EXPANSIONS, ONLY_BY_ID, SECRETS

# "will be omitted unless you explicitly request it with the `expand` parameter"
_OMITTED = re.compile(r"\bomitted unless\b.*\bexpand\b", re.IGNORECASE | re.DOTALL)
# "This cannot be expanded in any list endpoints"
_NOT_IN_LISTS = re.compile(r"\bcannot be expanded in any list\b|\bnot via \"list all\b", re.IGNORECASE)
# Of an operation that lists the rows of a column: "there is an includable line_items property"
_INCLUDABLE = re.compile(r"\bincludable (\w+) property\b", re.IGNORECASE)


def with_expansions(resources: Iterable[Resource], tables: dict[str, SdkOperation]) -> list[Resource]:
    """Return the resources with ``expand`` set on every column that has to be expanded."""
    return [
        replace(owner, columns=tuple(_with_expansion(owner, column, tables) for column in owner.columns))
        for owner in resources
    ]


def is_expanded_by_sdk(owner: Resource, column: Column, tables: dict[str, SdkOperation]) -> bool:
    """Return True if the SDK says that the column has to be expanded."""
    full_list = tables.get(column.full_list_table)
    if full_list is not None and column.name in _INCLUDABLE.findall(full_list.description):
        return True
    description = _description(owner, column, tables)
    return bool(_OMITTED.search(description) or _NOT_IN_LISTS.search(description))


def _with_expansion(owner: Resource, column: Column, tables: dict[str, SdkOperation]) -> Column:
    expand = EXPANSIONS.get((owner.name, column.name), "")
    if is_expanded_by_sdk(owner, column, tables):
        expand = column.name
    if not expand:
        return column
    return replace(
        column,
        expand=expand,
        expanded_in_lists=owner.name not in ONLY_BY_ID
        and not _NOT_IN_LISTS.search(_description(owner, column, tables)),
        is_secret=(owner.name, column.name) in SECRETS,
    )


def _description(owner: Resource, column: Column, tables: dict[str, SdkOperation]) -> str:
    members = (item.members.get(column.name) for item in tables[owner.name].listed)
    return "\n".join(member.description for member in members if member is not None)
