"""The names of a foreign table's columns in SQL, and of the columns of the catalog that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.backend.hosting import ColumnDefinition
from stripe_fdw.fdw.planning.quals import Qual, SortKey

COLUMN_NAME: Final = "column_name"
"""The option of a column that names the catalog's column, where the column has another name."""


class CatalogColumn(Struct):
    """A column of the foreign table under the name that the catalog has for it."""

    column_name: str
    type_name: str
    type_oid: int
    typmod: int
    options: Mapping[str, str] = field(default_factory=dict)


def _named(definition: ColumnDefinition, name: str) -> ColumnDefinition:
    if definition.column_name == name:
        return definition
    return CatalogColumn(
        name, definition.type_name, definition.type_oid, definition.typmod, definition.options
    )


class ColumnNames(Struct, frozen=True):
    """Translates between a table's own column names and the catalog's."""

    to_catalog: Mapping[str, str]
    to_table: Mapping[str, str]

    @classmethod
    def of(cls, definitions: Mapping[str, ColumnDefinition]) -> ColumnNames:
        """Return the names of the columns. Raises ColumnError if two stand for the same."""
        to_catalog = {name: item.options.get(COLUMN_NAME, name) for name, item in definitions.items()}
        to_table: dict[str, str] = {}
        for name, known in to_catalog.items():
            if known in to_table:
                raise ColumnError(
                    f'columns "{to_table[known]}" and "{name}" both stand for Stripe\'s {known}',
                    hint="Give one of them another column_name, or drop it.",
                )
            to_table[known] = name
        return cls(to_catalog, to_table)

    @property
    def are_the_catalogs(self) -> bool:
        """True if every column has the catalog's name."""
        return all(name == known for name, known in self.to_catalog.items())

    def definitions(self, definitions: Mapping[str, ColumnDefinition]) -> dict[str, ColumnDefinition]:
        """Return the definitions under the catalog's names."""
        return {known: _named(definitions[name], known) for name, known in self.to_catalog.items()}

    def columns(self, names: Iterable[str]) -> list[str]:
        """Return the catalog's names of columns."""
        return [self.to_catalog.get(name, name) for name in names]

    def quals(self, quals: Iterable[Qual]) -> list[Qual]:
        """Return the quals with the catalog's names."""
        return [replace(qual, column=self.to_catalog.get(qual.column, qual.column)) for qual in quals]

    def sort_keys(self, keys: Iterable[SortKey]) -> list[SortKey]:
        """Return the sort keys with the catalog's names."""
        return [replace(key, column=self.to_catalog.get(key.column, key.column)) for key in keys]

    def catalog_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row of the table with the catalog's names."""
        return {self.to_catalog.get(name, name): value for name, value in row.items()}

    def table_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with the table's names, without columns that the table lacks."""
        return {self.to_table[name]: value for name, value in row.items() if name in self.to_table}

    def table_columns(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the table's names of the catalog's columns."""
        return tuple(self.to_table.get(name, name) for name in names)
