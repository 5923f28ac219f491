"""The names of foreign tables in the statements that hints of errors suggest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from stripe_fdw.fdw.schema.options import MergedOptions

UNKNOWN_SCHEMA: Final = "<schema>"
"""Stands in a hint for a schema that the host does not say: no statement with it can be run as it is."""

_REPLACED: Final = re.compile(r"\bstripe_live\.(?P<name>\w+)|\{(?P<column>[a-z_]+)\}")
_NO_VALUES: Final[Mapping[str, str]] = MappingProxyType({})


class TableNames(Struct, frozen=True):
    """Names a foreign table, and what lies beside it in its schema, as SQL does.

    A hint's statement may be run as it is, so it must not name the table of another server, which may be
    another account.
    """

    schema: str = UNKNOWN_SCHEMA  # quoted where SQL needs it, as ``table`` is
    resource: str = ""  # the option ``object`` of the table
    table: str = ""  # empty: it has the name of its resource

    @classmethod
    def of(cls, options: Mapping[str, str]) -> TableNames:
        """Return the names for a table with these options; they are without schema where no host gave one."""
        if not isinstance(options, MergedOptions) or not options.schema:
            return UNNAMED
        return cls(options.schema, options.get("object", ""), options.table)

    def qualified(self, name: str) -> str:
        """Return the table of a resource, or the function ``call``, with its schema."""
        return f"{self.schema}.{self.table if self.table and name == self.resource else name}"

    def in_hint(self, text: str, values: Mapping[str, str] = _NO_VALUES) -> str:
        """Return a hint of the catalog, which names tables of ``stripe_live``, with these names.

        ``values`` are SQL literals for its placeholders, by column. What is put in is not searched again.
        """

        def replaced(match: re.Match[str]) -> str:
            name, column = match["name"], match["column"]
            return self.qualified(name) if name else values.get(column, match[0])

        return _REPLACED.sub(replaced, text)


UNNAMED: Final = TableNames()
"""The names where the host says neither schema nor table."""
