"""API keys: which are valid, and what restricted ones permit."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field

from stripe_simulator import errors

# Resources that need the permission of another.
_PERMISSION_OF = {"price": "plan"}


@dataclass(slots=True)
class ApiKeys:
    """The keys that are invalid or restricted.

    Every key that begins with sk_test_ or sk_live_ is valid unless it is in `wrong`. Restricted keys are
    valid if they are in `restricted`, with permissions such as ``customer_read``; a write permission includes
    reading. Prices need those of plans.
    """

    wrong: set[str] = field(default_factory=set)
    restricted: dict[str, set[str]] = field(default_factory=dict)

    def check(self, key: str | None) -> str:
        """Return the key. Raises StripeError 401 where it is missing or invalid."""
        if not key:
            raise errors.no_key()
        if key in self.wrong or not (key in self.restricted or key.startswith(("sk_test_", "sk_live_"))):
            raise errors.bad_key(key)
        return key

    def permit(self, key: str, account: str, resource: str, method: str) -> None:
        """Raise StripeError 403 where a restricted key lacks the permission for a method on a resource."""
        permissions = self.restricted.get(key)
        if permissions is None:
            return
        subject = _PERMISSION_OF.get(resource, resource)
        needed = f"{subject}_read" if method == "GET" else f"{subject}_write"
        if needed not in permissions and f"{subject}_write" not in permissions:
            raise errors.not_permitted(key, account, needed)

    def clear(self) -> None:
        """Make all test keys valid, and no restricted ones."""
        self.wrong.clear()
        self.restricted.clear()


def is_live(key: str) -> bool:
    """Return True if the key is of live mode, which has other objects than test mode."""
    return "_live_" in key


def key_of(authorization: str | None) -> str | None:
    """Return the key in an Authorization header, Bearer or Basic; None where there is none."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        try:
            return b64decode(rest).decode().partition(":")[0] or None
        except (Base64Error, UnicodeDecodeError):
            return None
    return None
