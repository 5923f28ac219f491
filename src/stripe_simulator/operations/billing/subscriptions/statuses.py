"""Groups of subscription statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

ENDED_STATUSES = frozenset({"canceled", "incomplete_expired"})
BILLED_STATUSES = frozenset({"active", "past_due", "unpaid"})
