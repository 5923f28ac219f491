"""Errors of version 2 of the API: a code for each kind, and no parameter beside the message."""

from __future__ import annotations

from typing import Any

from stripe_simulator.errors import StripeError


class Version2Error(StripeError):
    """An error that version 2 of the API responds with."""

    def __init__(self, message: str, code: str, *, status: int = 400) -> None:
        super().__init__(message, status=status, code=code)

    def body(self, request_id: str, account_id: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the body of the response."""
        return {"error": {"type": self.error_type, "code": self.code, "message": self.message}}


def not_found(kind: str, identifier: str) -> Version2Error:
    """Return the error 404 of an object that does not exist."""
    return Version2Error(f"No such {kind}: {identifier}", "not_found", status=404)


def invalid_fields(problem: str) -> Version2Error:
    """Return the error of a body or a query that does not fit the operation."""
    return Version2Error(problem, "invalid_fields")


def wrong_state(problem: str) -> Version2Error:
    """Return the error of an operation that the state of its object does not allow."""
    return Version2Error(problem, "invalid_state")
