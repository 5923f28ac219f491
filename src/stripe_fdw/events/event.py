"""An event of Stripe, checked as far as everything else relies on it (https://docs.stripe.com/api/events/object)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

# Stripe's first event, and far enough ahead: other times would each make a partition of the inbox.
_EARLIEST: Final = datetime(2010, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


class InvalidEventError(StripeFdwError):
    """What was received is no event."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event: something that has happened to an object of an account."""

    id: str
    type: str  # "customer.subscription.updated"
    created: datetime
    account: str  # "" for the account of the key
    livemode: bool
    api_version: str | None
    body: dict[str, Any]

    @classmethod
    def parse(cls, body: Any) -> Event:
        """Return the event of a JSON object.

        Raises:
            InvalidEventError: it has not the fields of an event; the message names the first that is wrong.
        """
        if not isinstance(body, dict) or body.get("object") != "event":
            raise InvalidEventError("the body is no event of Stripe")
        for name, types in _FIELDS.items():
            value = body.get(name)
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                raise InvalidEventError(
                    f"the event has no valid field {name}: {excerpt(repr(value), MAX_NAME_CHARACTERS)}"
                )
        try:
            created = datetime.fromtimestamp(body["created"], UTC)
        except (OverflowError, ValueError, OSError):
            created = _LATEST
        if not _EARLIEST <= created < _LATEST:
            raise InvalidEventError(f"the event has no valid field created: {body['created']}")
        return cls(
            id=body["id"],
            type=body["type"],
            created=created,
            account=body.get("account") or "",
            livemode=body["livemode"],
            api_version=body.get("api_version"),
            body=body,
        )

    @property
    def changed_object(self) -> dict[str, Any]:
        """The object that it is about; {} if there is none."""
        value = self.body["data"].get("object")
        return value if isinstance(value, dict) else {}

    @property
    def previous_attributes(self) -> dict[str, Any] | None:
        """The previous values of what has changed; None where the event has none."""
        value = self.body["data"].get("previous_attributes")
        return value if isinstance(value, dict) else None

    def __str__(self) -> str:
        return f"{self.id} ({self.type}, {self.created:%Y-%m-%d %H:%M:%S})"


_FIELDS: Final[dict[str, tuple[type, ...]]] = {
    "id": (str,),
    "type": (str,),
    "created": (int,),
    "livemode": (bool,),
    "data": (dict,),
    "account": (str, type(None)),
    "api_version": (str, type(None)),
}
