"""Ids as Stripe writes them, each the encoding of a position: no table of ids is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stripe_simulator.seeding import stable_hash

BLOCK_SIZE = 4096  # positions for the children of one parent

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_DIGIT = {letter: number for number, letter in enumerate(_ALPHABET)}
_PAIR_COUNT = len(_PAIRS)
_PAIRS_IN_ID = 7
_MODULUS = _PAIR_COUNT**_PAIRS_IN_ID
_SHORT_PREFIXES = frozenset({"cus_", "prod_", "si_", ""})


def base62(number: int, length: int) -> str:
    """Return the last `length` digits of a number in base 62, the least significant first."""
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_ALPHABET[digit])
    return "".join(letters)


class IdCodec:
    """Turns a position into an id and back; different positions never share an id."""

    def __init__(self, prefix: str, *names: object) -> None:
        seed = stable_hash("id", *names)
        self.prefix = prefix
        # Customers, products and items have 14 characters; others begin with a part fixed for the account.
        self._head = (
            prefix if prefix in _SHORT_PREFIXES else prefix + "1" + base62(stable_hash("account", *names), 9)
        )
        # An odd number that 31 does not divide is a unit modulo a power of 62.
        self._multiplier = (stable_hash("multiplier", *names) << 18 | 1) % _MODULUS
        if self._multiplier % 31 == 0:
            self._multiplier += 2
        self._offset = seed * 3_000_017 % _MODULUS
        self._inverse = pow(self._multiplier, -1, _MODULUS)

    def encode(self, position: int) -> str:
        """Return the id at this position."""
        rest = (position * self._multiplier + self._offset) % _MODULUS
        pairs = _PAIRS
        rest, a = divmod(rest, 3844)
        rest, b = divmod(rest, 3844)
        rest, c = divmod(rest, 3844)
        rest, d = divmod(rest, 3844)
        rest, e = divmod(rest, 3844)
        rest, f = divmod(rest, 3844)
        return f"{self._head}{pairs[a]}{pairs[b]}{pairs[c]}{pairs[d]}{pairs[e]}{pairs[f]}{pairs[rest]}"

    def decode(self, identifier: str) -> int | None:
        """Return the position that this id encodes; None for an id of another codec."""
        head = self._head
        if len(identifier) != len(head) + 2 * _PAIRS_IN_ID or not identifier.startswith(head):
            return None
        number = 0
        try:
            for at in range(len(identifier) - 2, len(head) - 1, -2):
                number = number * _PAIR_COUNT + _DIGIT[identifier[at]] * 62 + _DIGIT[identifier[at + 1]]
        except KeyError:
            return None
        position: int = (number - self._offset) * self._inverse % _MODULUS
        return position


class TwoPrefixIdCodec(IdCodec):
    """Ids of which some have another prefix: those at the positions for which `is_other` is true."""

    def __init__(self, prefix: str, other: str, is_other: Callable[[int], bool], *names: object) -> None:
        super().__init__(prefix, *names)
        self._other = other
        self._is_other = is_other

    def encode(self, position: int) -> str:
        """Return the id at this position."""
        identifier = super().encode(position)
        return self._other + identifier[len(self.prefix) :] if self._is_other(position) else identifier

    def decode(self, identifier: str) -> int | None:
        """Return the position that this id encodes; None for an id of another codec."""
        has_other = identifier.startswith(self._other)
        usual = self.prefix + identifier[len(self._other) :] if has_other else identifier
        position = super().decode(usual)
        return position if position is not None and self._is_other(position) is has_other else None


class FixedIdCodec(IdCodec):
    """Ids that Stripe fixes, such as country codes; positions beyond them get random-looking ids."""

    def __init__(self, identifiers: Sequence[str], prefix: str, *names: object) -> None:
        super().__init__(prefix, *names)
        self._identifiers = identifiers
        self._positions = {identifier: position for position, identifier in enumerate(identifiers)}

    def encode(self, position: int) -> str:
        """Return the id at this position."""
        at = position % BLOCK_SIZE
        return self._identifiers[at] if at < len(self._identifiers) else super().encode(position)

    def decode(self, identifier: str) -> int | None:
        """Return the position that this id encodes, in the first block."""
        return self._positions.get(identifier)
