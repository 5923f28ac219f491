"""Idempotency keys: of a row, and of each request of a row."""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import Final

from stripe_fdw.fdw.writing.plan.write_request import WriteRequest

_MAX_LENGTH: Final = 255  # characters, Stripe's limit


def new_row_key() -> str:
    """Return a random key for a row to which the user gave none."""
    return os.urandom(16).hex()


def request_key(key: str, request: WriteRequest) -> str:
    """Return the idempotency key of a request: the row's own, or one derived from it and the operation.

    A derived key depends on nothing else: of a row that failed between its update and its operation, only
    the operation is performed when the row runs again.
    """
    if not request.derives_key:
        return key
    derived = f"{key}:{request.operation}"
    if len(derived) > _MAX_LENGTH:
        derived = f"{blake2b(key.encode(), digest_size=16).hexdigest()}:{request.operation}"
    return derived
