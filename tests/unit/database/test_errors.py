from __future__ import annotations

import psycopg
import pytest

from stripe_fdw.database.errors import Report, database_message


class Reported(psycopg.Error):
    """An error with the parts that a server gives."""

    def __init__(self, message: str | None, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message or "connection failed: no server\n\tIs it running?")
        self._parts = (message, detail, hint)

    @property
    def diag(self) -> object:  # type: ignore[override]
        message, detail, hint = self._parts
        return type("Diag", (), {"message_primary": message, "message_detail": detail, "message_hint": hint})


@pytest.mark.parametrize(
    ("error", "report"),
    [
        (
            Reported("no such key", "sk_test_51HardlyAKey0000000000", "h"),
            Report("no such key", "sk_test_…", "h"),
        ),
        (
            Reported(
                "Error in python: PlainError", " no such key\nDETAIL: Stripe answered 401\nHINT: make one"
            ),
            Report("no such key", "Stripe answered 401", "make one"),
        ),
        (Reported("Error in python: ValueError", " bad"), Report("bad", None, None)),
        (Reported("Error in python: ValueError", "\n"), Report("Error in python: ValueError", None, None)),
        (Reported(None), Report("connection failed: no server", "Is it running?", None)),
    ],
)
def test_what_a_database_reports_has_its_parts_under_both_hosts(error: psycopg.Error, report: Report) -> None:
    found = Report.of(error)
    assert (found.message, found.hint) == (report.message, report.hint)
    if report.detail == "sk_test_…":
        assert "HardlyAKey" not in str(found.detail)
    else:
        assert found.detail == report.detail


def test_the_message_of_multicorn2_is_the_foreign_tables() -> None:
    assert (
        database_message(Reported("Error in python: PlainError", " no such key\nHINT: make one"))
        == "no such key"
    )
    assert database_message(Reported(None)) == "connection failed: no server Is it running?"
