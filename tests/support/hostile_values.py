"""Values that no Stripe sends and no user means, as strategies of hypothesis.

Each is made once: hypothesis looks through a new one before it draws from it, for longer than the draw takes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from hypothesis import strategies as st

KEY = "sk_test_51KeyThatNothingMayShow00"
ODD_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "\n",
        "\r\nX-Evil: 1",
        "\x7f",
        "\ud800",
        "\u2028",
        "\ufeff",
        "\xe9",
        "\U0001f984",
        "a" * 5000,
    ),
    *(
        "..",
        ".",
        "/",
        "//",
        "\\",
        "%",
        "%2e%2e",
        "%2F",
        "%00",
        "?",
        "#",
        "&",
        "=",
        ";",
        "@evil.example",
        "{",
        "}",
    ),
    *("{customer}", "[]", "[a]", "a]b[c", "__proto__", "'", '"', "';--", "$$", "\\x", "%s", "%(a)s", "{0}"),
    *(
        "0",
        "-1",
        "1e5",
        "1e999999999",
        "-1e-999999999",
        "NaN",
        "sNaN",
        "Infinity",
        "0x10",
        "1_000",
        "9" * 400,
    ),
    *("true", "false", "t", "yesterday", "9999-12-31T23:59:60Z", "0001-01-01", "2024-05-01T00:00:00+23:59"),
    *("http://", "https://evil.example", "//evil.example", "http://127.0.0.1", "http://[::1]:1", "localhost"),
    *("http://127.0.0.1\\@evil.example", "http://127.0.0.1#@evil.example/", "https://a@b", "http://0x7f.1"),
    *("null", "::1", "acct_1", "cus_1", "sk_", "Bearer ", "_secret_", "pi_1_secret_"),
    *(KEY, f"x{KEY}y", f"https://{KEY}@api.stripe.com"),
)


@cache
def texts(max_size: int = 30) -> st.SearchStrategy[str]:
    """Texts: odd ones, any ones, and several in a row."""
    odd = st.sampled_from(ODD_TEXTS)
    return st.one_of(odd, st.text(max_size=max_size), st.lists(odd, max_size=4).map("".join))


@cache
def sql_texts(max_size: int = 30) -> st.SearchStrategy[str]:
    """Texts that Postgres can hold: without U+0000 and halves of surrogate pairs."""
    return texts(max_size).map(lambda text: text.replace("\0", "").encode(errors="ignore").decode())


@cache
def json_values(strings: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Any]:
    """JSON values: of wrong types, out of all ranges, and nested."""
    strings = texts() if strings is None else strings
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63, -(2**63), 1e300, -0.0, 0.1, 253402300800]),
        strings,
    )
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
        max_leaves=8,
    )


def without_surrogates(value: Any) -> Any:
    """The value as JSON in UTF-8 can have it."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value


def json_of(value: Any) -> bytes:
    """JSON of such a value."""
    return orjson.dumps(without_surrogates(value))
