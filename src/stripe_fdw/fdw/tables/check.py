"""The table behind ``stripe-fdw check``: what serves foreign tables, and whether Stripe accepts the key."""

# ruff: noqa: ARG002 - the protocol ``tables.base.Table``; this table does not use every argument

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from stripe_fdw.api.request import Request
from stripe_fdw.errors import InvalidResponseError, OptionError, PermissionDeniedError
from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.expansions import WHOLE_ROW
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.schema.import_schema import CHECK_TABLE
from stripe_fdw.fdw.schema.options import read_api_key
from stripe_fdw.fdw.tables.function_table import ReadTable
from stripe_fdw.shared.memory import shared_memory
from stripe_fdw.version import __version__

_OF_THE_KEY: Final = frozenset({"livemode", "account_id", "answered_at"})
_OF_STRIPE: Final = frozenset({"account_id", "answered_at"})
_OTHER_ACCOUNT: Final = "account_invalid"  # Stripe's code: the key has no access to the connected account


class CheckTable(ReadTable):
    """One row: of this session, and of its key and Stripe where the query names their columns.

    ``account_id`` and ``answered_at``, the Date of Stripe's response, take one request. The account is NULL
    where the key is right but may not read it.
    """

    name = CHECK_TABLE

    def rows(self, quals: Sequence[Qual], named: Sequence[str], cost: RequestCost) -> Iterator[Row]:
        """Yield the row. The key is read, and Stripe asked, only where the query names it."""
        asked = _OF_THE_KEY if WHOLE_ROW in named else _OF_THE_KEY.intersection(named)
        yield {**dict.fromkeys(_OF_THE_KEY), **self._of_session(), **self._of_key(asked, cost)}

    def _of_session(self) -> dict[str, Any]:
        row: dict[str, Any] = {"version": __version__, "python": sys.prefix}
        try:
            memory = shared_memory()
            with memory.locked():
                passed_over = memory.passed_over
                return {
                    **row,
                    "shared_directory": str(memory.directory),
                    "shared_error": passed_over and passed_over.message,
                }
        except OptionError as error:
            return {**row, "shared_directory": None, "shared_error": error.message}

    def _of_key(self, asked: frozenset[str], cost: RequestCost) -> dict[str, Any]:
        if not asked:
            return {}
        client = self._session.client(self._server, read_api_key(self._options))
        row = {"livemode": self._text("_test_" not in client.options.key.reveal())}
        if not asked & _OF_STRIPE:
            return row
        request = Request.of("GET", "/v1/account")
        try:
            response = client.fetch(request, check=self._session.host.check_interrupts)
        except PermissionDeniedError as error:
            if error.code == _OTHER_ACCOUNT:
                raise
            return {**row, "answered_at": self._time(error.known_at)}
        cost.add_response(response)
        account = response.body.get("id")
        if not isinstance(account, str):
            raise InvalidResponseError("the response to GET /v1/account has no id")
        return {**row, "account_id": account, "answered_at": self._time(response.date)}

    def _time(self, moment: datetime | None) -> Any:
        if moment is not None and self._session.host.renders_text:
            return moment.isoformat(sep=" ")
        return moment
