"""The foreign table of one kind of Stripe object, where the host gives back only one column of a row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final
from weakref import WeakKeyDictionary

from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.backend.hosting import Definitions, Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.multicorn.row_changes import FormatTime, changed_columns
from stripe_fdw.fdw.planning.expansions import WHOLE_ROW
from stripe_fdw.fdw.planning.restrictions import Value
from stripe_fdw.fdw.reading.page import ObjectPage
from stripe_fdw.fdw.schema.columns import RAW
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.resource import ResourceTable
from stripe_fdw.fdw.writing.plan import planner
from stripe_fdw.fdw.writing.statement import StatementWrite
from stripe_fdw.fdw.writing.table_writer import TableWriter
from stripe_fdw.fdw.writing.values.column_parameters import parse_json

_MAX_ANSWERS: Final = 200  # rows of a statement that are kept: a join may bring a row several times


class RowidTableWriter(TableWriter):
    """Updates and deletes objects by the one column that identifies a row: ``_raw``, or ``id``."""

    def __init__(self, *arguments: Any, format_time: FormatTime) -> None:
        """Prepare to write. ``format_time`` formats times as the session does."""
        super().__init__(*arguments)
        self._format_time = format_time
        self._parent_ids: dict[str, Mapping[str, Value]] = {}  # by id of the rows read
        self._answers: WeakKeyDictionary[StatementWrite, dict[str, Row]] = WeakKeyDictionary()

    def insert(self, values: Row, *, answered: Collection[str] | None, cost: RequestCost) -> Row | None:
        """Create an object. Return its row with all columns that were given."""
        row = super().insert(values, answered=answered, cost=cost)
        return None if row is None else self._with_written(row, values)

    def update_by_rowid(self, rowid: object, new: Row) -> Row:
        """Change the object of which ``rowid`` is the id or the JSON text, and ``new`` has all columns."""
        row, statement, cost = self._old_row(rowid, new), self._statement(), RequestCost()
        answers = self._answers.setdefault(statement, {})
        identifier = str(self._row_key(row))
        if self._is_repeated(row):  # Multicorn counts it as updated
            return answers.get(identifier) or (self._row(row[RAW]) if RAW in row else row)
        with statement.planning_row():
            body = row[RAW] = row.get(RAW) or self._read(row, cost, (WHOLE_ROW,))
            values = changed_columns(self._resource, self._row(body), new, self._format_time)
            plan = planner.plan_update(self._resource, row, values, self._names, named=False)
            plan = self._expanded(plan, None, values)
        response = statement.execute(plan, self._client(), answered=True, cost=cost)
        after = self._row_after(plan, response, cost)
        answer = answers[identifier] = self._with_written(after, row | new)
        if len(answers) > _MAX_ANSWERS:
            del answers[next(iter(answers))]
        return answer

    def delete_by_rowid(self, rowid: object) -> None:
        """Delete the object of which ``rowid`` is the id or the JSON text."""
        self.delete(self._old_row(rowid, {}), answered=True, cost=RequestCost())

    def end(self) -> None:
        """Wait for the requests of the statement that ends. Raises the error of a row that failed."""
        self._parent_ids.clear()
        super().end()

    def keep_parents(self, pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
        """Return the pages of rows that will be changed, and keep the parents' ids that objects lack."""
        columns = [self._resource.column.get(parent.column) for parent in self._resource.parents]
        if all(column is not None and column.path for column in columns):
            return pages
        return map(self._keep_parent, pages)

    def _keep_parent(self, page: ObjectPage) -> ObjectPage:
        self._parent_ids |= {item["id"]: page.constant_columns for item in page.objects if "id" in item}
        return page

    def _old_row(self, rowid: object, new: Row) -> Row:
        if RAW not in self._identity:
            return {"id": rowid} | {name: new.get(name) for name in self._identity if name != "id"}
        body = parse_json(RAW, rowid)
        row = self._row(body) | {RAW: body}
        if "id" not in body:  # the only object of its parent, which the new row names
            owners = {name: new[name] for name in self._identity if new.get(name) is not None}
            return owners | {name: value for name, value in row.items() if value is not None}
        return row | dict(self._parent_ids.get(body["id"], ())) | {"id": body["id"]}

    @staticmethod
    def _with_written(row: Row, values: Row) -> Row:
        """Return the row with the written values of columns that it lacks: Multicorn keeps none of them."""
        return {name: value for name, value in values.items() if name not in row} | row


class RowidResourceTable(ResourceTable):
    """Stripe's objects of one kind, whose rows are identified by ``rowid``: the whole object, or its id."""

    takes_quals_inside_json = False

    def __init__(
        self,
        session: Session,
        resource: Resource,
        options: Mapping[str, str],
        definitions: Definitions,
        *,
        format_time: FormatTime,
    ) -> None:
        """Check the options and columns, as ``ResourceTable`` does."""
        self._format_time = format_time
        # A table without either is read only, but Multicorn asks for a column all the same.
        self.rowid = next(
            (name for name in (RAW, "id") if name in definitions), next(iter(definitions), "id")
        )
        super().__init__(session, resource, options, definitions)

    def without_secrets(self, columns: Sequence[str]) -> list[str]:
        """Return the columns without secret ones, which are read only where a statement names them itself."""
        return [name for name in columns if not self._is_secret(name)]

    def _is_secret(self, name: str) -> bool:
        column = self._resource.column.get(name)
        return column is not None and column.is_secret

    def update_by_rowid(self, rowid: object, new: Row) -> Row:
        """Change the object of which ``rowid`` is the id or the JSON text, and ``new`` has all columns."""
        return self._writer.update_by_rowid(rowid, new)

    def delete_by_rowid(self, rowid: object) -> None:
        """Delete the object of which ``rowid`` is the id or the JSON text."""
        self._writer.delete_by_rowid(rowid)

    @cached_property
    def _writer(self) -> RowidTableWriter:
        session = self._session
        return RowidTableWriter(
            session.host,
            session.clients,
            session.writes,
            self._resource,
            self._options,
            self._definitions,
            format_time=self._format_time,
        )

    def _watch_rows(self, pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
        return self._writer.keep_parents(pages)
