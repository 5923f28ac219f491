"""Secrets, and their masking in everything that is printed."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from typing import Any, NoReturn, final

MASK = "****"
_MIN_SECRET_LENGTH = 8  # a shorter "secret" would mask ordinary words
_MAX_SECRETS = 256  # a process has few keys; rotating them must not use memory without end

# Key prefixes: https://docs.stripe.com/keys. Stripe's own messages show keys half masked, hence the "*".
_KEYS = re.compile(
    r"""
    (?<![A-Za-z0-9])
    (?: ((?:sk|rk|pk|ek|uk|mk)_(?:org_)?(?:live|test)_) [A-Za-z0-9*_]*
      | ((?:sk|rk)_) [A-Za-z0-9*]{16,}
      | (whsec_) [A-Za-z0-9*+/=_-]*
    )
    | ((?:Bearer|Basic)(?:\s|%20|\+)+) [^\s"',;\\)\]}<>]+
    | ((?:pi|seti|src|ca|sub|in|cs|ephkey)_[A-Za-z0-9_]+_secret_) [A-Za-z0-9]+
    """,
    re.VERBOSE,
)
_secrets: OrderedDict[str, None] = OrderedDict()


def redact(text: str) -> str:
    """Return the text with Stripe keys and remembered secrets masked."""
    for value in tuple(_secrets):
        if value in text:
            text = text.replace(value, MASK)
    return _KEYS.sub(lambda match: f"{next(group for group in match.groups() if group)}{MASK}", text)


def remember(value: str) -> None:
    """Remember a secret, so that ``redact`` masks it whatever it looks like."""
    if len(value) >= _MIN_SECRET_LENGTH:
        _secrets[value] = None
        _secrets.move_to_end(value)
        while len(_secrets) > _MAX_SECRETS:
            _secrets.popitem(last=False)


@final
class Secret:
    """A text that does not show in prints, formats or pickles; only ``reveal`` returns it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value
        remember(value)

    def reveal(self) -> str:
        """Return the value: for the header that needs it, never for a message."""
        return self.__value

    def fingerprint(self) -> str:
        """Return a hash of 32 hexadecimal digits, which differs for different secrets."""
        return hashlib.blake2b(self.__value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self.__value.encode("utf-8", "surrogatepass"), other.__value.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")
