"""Ids as Stripe writes them, each the encoding of a position: no table of ids is kept."""

from __future__ import annotations

from collections.abc import Sequence

from stripe_simulator.seeding import stable_hash

BLOCK = 4096  # positions for the children of one parent

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_DIGIT = {letter: number for number, letter in enumerate(_ALPHABET)}
_PAIR_COUNT = len(_PAIRS)
_PAIRS_IN_ID = 7
_MODULUS = _PAIR_COUNT**_PAIRS_IN_ID
_SHORT = frozenset({"cus_", "prod_", ""})


def text_of(number: int, length: int) -> str:
    """A number in base 62, as long as asked."""
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_ALPHABET[digit])
    return "".join(letters)


class Codec:
    """Turns a position into an id and back; positions that differ never share an id."""

    def __init__(self, prefix: str, *names: object) -> None:
        seed = stable_hash("id", *names)
        self.prefix = prefix
        # Customers and products have 14 characters; all others begin with a part fixed for the account.
        self._head = prefix if prefix in _SHORT else prefix + "1" + text_of(stable_hash("account", *names), 9)
        # An odd number that 31 does not divide is a unit modulo a power of 62.
        self._multiplier = (stable_hash("multiplier", *names) << 18 | 1) % _MODULUS
        if self._multiplier % 31 == 0:
            self._multiplier += 2
        self._offset = seed * 3_000_017 % _MODULUS
        self._inverse = pow(self._multiplier, -1, _MODULUS)

    def encode(self, position: int) -> str:
        """The id at this position."""
        rest = (position * self._multiplier + self._offset) % _MODULUS
        pairs = _PAIRS
        rest, a = divmod(rest, 3844)
        rest, b = divmod(rest, 3844)
        rest, c = divmod(rest, 3844)
        rest, d = divmod(rest, 3844)
        rest, e = divmod(rest, 3844)
        rest, f = divmod(rest, 3844)
        return f"{self._head}{pairs[a]}{pairs[b]}{pairs[c]}{pairs[d]}{pairs[e]}{pairs[f]}{pairs[rest]}"

    def decode(self, text: str) -> int | None:
        """The position that this id encodes; None where it is not one of ours."""
        head = self._head
        if len(text) != len(head) + 2 * _PAIRS_IN_ID or not text.startswith(head):
            return None
        number = 0
        try:
            for at in range(len(text) - 2, len(head) - 1, -2):
                number = number * _PAIR_COUNT + _DIGIT[text[at]] * 62 + _DIGIT[text[at + 1]]
        except KeyError:
            return None
        position: int = (number - self._offset) * self._inverse % _MODULUS
        return position


class Codes(Codec):
    """Ids that are words of Stripe's, such as countries; positions beyond them get plain ids."""

    def __init__(self, words: Sequence[str], prefix: str, *names: object) -> None:
        super().__init__(prefix, *names)
        self._words = words
        self._positions = {word: position for position, word in enumerate(words)}

    def encode(self, position: int) -> str:
        """The id at this position."""
        at = position % BLOCK
        return self._words[at] if at < len(self._words) else super().encode(position)

    def decode(self, text: str) -> int | None:
        """The position that this id encodes, in the first block."""
        return self._positions.get(text)
