"""Secrets, and their masking in everything that is printed."""

from __future__ import annotations

import hashlib
import hmac
import re
import string
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
    | ((?:Bearer|Basic)(?:\s|%20|\+)++) [^\s"',;\\)\]}<>]+
    """,
    re.VERBOSE,
)
_CLIENT_SECRET = "_secret_"  # noqa: S105 - in the middle of one: pi_…_secret_…
_CLIENT_SECRET_ID = re.compile(r"(?:pi|seti|src|ca|sub|in|cs|ephkey)_[A-Za-z0-9]")
_ALPHANUMERIC = string.ascii_letters + string.digits
_WORD = f"{_ALPHANUMERIC}_"
_MAX_KEY_CHARACTERS = 512  # of a key that is masked where a text is cut; Stripe's are shorter
_secrets: OrderedDict[str, None] = OrderedDict()


def redact(text: str) -> str:
    """Return the text with Stripe keys and remembered secrets masked. Takes time linear in its length."""
    for value in tuple(_secrets):
        if value in text:
            text = text.replace(value, MASK)
    text = _KEYS.sub(lambda match: f"{next(group for group in match.groups() if group)}{MASK}", text)
    return _mask_client_secrets(text) if _CLIENT_SECRET in text else text


def redact_beginning(text: str, max_characters: int) -> str:
    """Return at least the first ``max_characters`` of a text of any length, masked.

    Some more characters follow, so that a key is recognized that begins within the first ones.
    """
    longest = max(map(len, tuple(_secrets)), default=0)
    return redact(text[: max_characters + max(longest, _MAX_KEY_CHARACTERS)])


def _mask_client_secrets(text: str) -> str:
    """Mask what follows ``_secret_`` in client secrets, such as ``pi_…_secret_…``.

    A regular expression for the whole would read a long word again from each of its characters.
    """
    head, *rest = text.split(_CLIENT_SECRET)
    masked, is_secret, before = [head], False, head
    for part in rest:
        word = before[len(before.rstrip(_WORD)) :]
        # A word that fills the part between two continues the word before.
        is_secret = bool(_CLIENT_SECRET_ID.search(word)) or (is_secret and word == before)
        value = part[: len(part) - len(part.lstrip(_ALPHANUMERIC))] if is_secret else ""
        masked.append(f"{MASK}{part[len(value) :]}" if value else part)
        before = part
    return _CLIENT_SECRET.join(masked)


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
