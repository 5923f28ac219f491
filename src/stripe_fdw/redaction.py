"""Keeps keys out of everything that is printed: one place decides what is secret and how it is masked."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from typing import Any, NoReturn, final

MASK = "****"
_SHORTEST_KNOWN = 8  # a shorter "secret" would mask ordinary words
_KNOWN_AT_MOST = 256  # a process meets few keys; rotation must not make it grow for ever

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
_known: OrderedDict[str, None] = OrderedDict()


def redact(text: str) -> str:
    """The text with everything masked that looks like a Stripe key, and every known secret."""
    for value in tuple(_known):
        if value in text:
            text = text.replace(value, MASK)
    return _KEYS.sub(lambda match: f"{next(group for group in match.groups() if group)}{MASK}", text)


def remember(value: str) -> None:
    """Have ``redact`` mask this value from now on, whatever it looks like."""
    if len(value) >= _SHORTEST_KNOWN:
        _known[value] = None
        _known.move_to_end(value)
        while len(_known) > _KNOWN_AT_MOST:
            _known.popitem(last=False)


@final
class Secret:
    """A text that never prints, formats, pickles or compares openly; ``reveal`` alone gives it away."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value
        remember(value)

    def reveal(self) -> str:
        """The value itself: for the one header that needs it, never for a message."""
        return self.__value

    def fingerprint(self) -> str:
        """32 hexadecimal digits that tell secrets apart without telling them."""
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
