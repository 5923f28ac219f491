"""Which keys are good, and what a restricted one may do."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field

from stripe_simulator import errors


@dataclass(slots=True)
class Keys:
    """Which keys were declared to be something else than good.

    Every key that begins with sk_test_ is good but for the wrong ones; restricted keys are good where
    declared, with permissions such as ``customer_read`` (a write permission includes reading).
    """

    wrong: set[str] = field(default_factory=set)
    restricted: dict[str, set[str]] = field(default_factory=dict)

    def check(self, key: str | None) -> str:
        """The key. Raises the 401 that Stripe would answer."""
        if not key:
            raise errors.no_key()
        if key in self.wrong or not (key in self.restricted or key.startswith("sk_test_")):
            raise errors.bad_key(key)
        return key

    def permit(self, key: str, account: str, resource: str, method: str) -> None:
        """Raises the 403 that Stripe would answer."""
        allowed = self.restricted.get(key)
        if allowed is None:
            return
        wanted = f"{resource}_read" if method == "GET" else f"{resource}_write"
        if wanted not in allowed and f"{resource}_write" not in allowed:
            raise errors.not_permitted(key, account, f"rak_{wanted}")

    def clear(self) -> None:
        """Forget what was declared."""
        self.wrong.clear()
        self.restricted.clear()


def key_of(authorization: str | None) -> str | None:
    """The key in an Authorization header, Bearer or Basic."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        try:
            return b64decode(rest).decode().partition(":")[0] or None
        except (Base64Error, UnicodeDecodeError):
            return None
    return None
