from __future__ import annotations

import pytest

from stripe_fdw.api.api_base import check_api_base, is_foreign, is_stripe
from stripe_fdw.errors import OptionError


@pytest.mark.parametrize(
    ("api_base", "used"),
    [
        ("https://api.stripe.com", "https://api.stripe.com"),
        ("https://api.stripe.com/", "https://api.stripe.com"),
        (" https://proxy.example/stripe/ ", "https://proxy.example/stripe"),
        ("http://127.0.0.1:12111", "http://127.0.0.1:12111"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://localhost:12111/", "http://localhost:12111"),
        ("http://[::1]:12111", "http://[::1]:12111"),
    ],
)
def test_https_and_loopback_are_accepted(api_base: str, used: str) -> None:
    assert check_api_base(api_base) == used


@pytest.mark.parametrize(
    "api_base",
    [
        "http://api.stripe.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://localhost@example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "ftp://api.stripe.com",
        "api.stripe.com",
        "https://",
        "",
        "https://sk_test_51Abc:@api.stripe.com",
        "https://api.stripe.com?key=sk_test_51Abc",
        "https://api.stripe.com#x",
        "https://api.stripe.com:99999",
        "https://[::1",
        "https://api.stripe.com\\.example.com",
        "https://%00.example.com",
        "https://a%2f@b",
    ],
)
def test_all_else_is_refused_without_showing_a_key(api_base: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_api_base(api_base)
    assert "51Abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("api_base", "right"),
    [
        ("https://api.stripe.com/v1", "https://api.stripe.com"),
        ("https://api.stripe.com/v2/", "https://api.stripe.com"),
        ("http://127.0.0.1:12111/stripe/v1", "http://127.0.0.1:12111/stripe"),
    ],
)
def test_the_version_at_its_end_is_refused_with_the_right_address(api_base: str, right: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_api_base(api_base)
    assert caught.value.message.endswith(f"give {right}")


@pytest.mark.parametrize(
    ("api_base", "stripe", "foreign"),
    [
        ("https://api.stripe.com", True, False),
        ("https://API.Stripe.com:443/", True, False),
        ("https://api.stripe.com:8443", False, True),
        ("https://api.stripe.com.example.com", False, True),
        ("https://proxy.example/api.stripe.com", False, True),
        ("http://127.0.0.1:12111", False, False),
        ("https://localhost", False, False),
        ("https://127.0.0.1.example.com", False, True),
    ],
)
def test_an_address_is_stripes_or_of_this_machine_or_foreign(
    api_base: str, stripe: bool, foreign: bool
) -> None:
    checked = check_api_base(api_base)
    assert (is_stripe(checked), is_foreign(checked)) == (stripe, foreign)
