from __future__ import annotations

import copy
import json
import pickle
import traceback

import pytest

from stripe_fdw.redaction import Secret, redact, redact_beginning
from support.waiting import hang_guard

KEY = "sk_test_51AbcDEF0123456789"


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        "rk_live_51Abc",
        "sk_org_live_1",
        "whsec_abc+/=",
        "sk_4eC39HqLyjWDarjtT1zdp7dc",
        f"https://{KEY}:@api.stripe.com/v1/customers",
        f"https://api.stripe.com/v1/customers?key={KEY}&limit=1",
        f"{{'Authorization': 'Bearer {KEY}'}}",
        "{'Authorization': 'Basic c2tfdGVzdF81MUFiYzo='}",
        f"Bearer%20{KEY}",
        f"prefix_{KEY}",
        repr(f"{KEY}\n"),
        "Invalid API Key provided: sk_test_*********6789",
        "pi_3Abc_secret_9XyZ",
    ],
)
def test_texts_that_look_like_keys_are_masked(text: str) -> None:
    masked = redact(text)
    for piece in ("51Abc", "6789", "4eC39", "abc+/=", "c2tf", "9XyZ", "live_1"):
        assert piece not in masked
    assert "****" in masked
    assert redact(masked).count("****") == masked.count("****")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("in_1_secret_a in_2_secret_b", "in_1_secret_**** in_2_secret_****"),
        ("x_in_1_secret_a_secret_b.", "x_in_1_secret_****_secret_****."),
        ("pi_3Abc_secret_", "pi_3Abc_secret_"),
        ("pi_3Abc, the_secret_word", "pi_3Abc, the_secret_word"),
        ("cs_test_a1_secret_fidwbEhqYWAnPydm'", "cs_test_a1_secret_****'"),
    ],
)
def test_client_secrets_are_masked_where_an_id_precedes(text: str, masked: str) -> None:
    assert redact(text) == masked


LONG = 1_000_000  # characters


@pytest.mark.parametrize(
    "text",
    [
        "in_" * (LONG // 3),
        "in_x_secret_" * (LONG // 12),
        "in_" * (LONG // 6) + "_secret_" + "in_" * (LONG // 6),
        "_secret_" * (LONG // 8),
        "Bearer " + " " * LONG + '"',
        "Bearer%20" * (LONG // 9),
        "sk_" * (LONG // 3),
        "sk_aaaaaaaaaaaaaaa " * (LONG // 19),
        "rk_test_" * (LONG // 8),
        "whsec_" * (LONG // 6),
        "a" * LONG,
    ],
    ids=lambda text: text[:12],
)
def test_a_text_of_a_million_characters_is_read_once(text: str) -> None:
    with hang_guard(10):  # reading it again from each character would take minutes
        redact(text)


def test_the_beginning_of_a_long_text_is_masked_before_it_is_cut() -> None:
    key = "sk_test_51OfNoOtherTest00000"  # a key that a client has had is masked as a whole
    text = f"{'x' * 90} {key} {'y' * LONG}"
    beginning = redact_beginning(text, 100)
    assert len(beginning) < 1000
    assert beginning.startswith(f"{'x' * 90} sk_test_****")
    secret = Secret("correct horse " * 100)
    assert "correct" not in redact_beginning(f"{'x' * 95}{secret.reveal()}{'y' * LONG}", 100)


@pytest.mark.parametrize(
    "text",
    [
        "No such customer: 'cus_NffrFeUfNV2Hib'",
        "risk_score, task_live, disk_test",
        "sk_number",
        "pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "GET /v1/customers?created[gte]=1700000000",
    ],
)
def test_other_texts_are_not_masked(text: str) -> None:
    assert redact(text) == text


def test_a_known_secret_is_masked_whatever_it_looks_like() -> None:
    secret = Secret("tr0ub4dor&3 of the proxy")
    assert redact(f"cannot log in with {secret.reveal()}!") == "cannot log in with ****!"


def test_a_secret_never_shows_itself() -> None:
    secret = Secret(KEY)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret} {secret!r}",
        repr([secret]),
    ]
    shown += [repr(copy.deepcopy({"key": secret})), secret.fingerprint()]
    for call in (pickle.dumps, json.dumps, vars, iter):
        with pytest.raises(TypeError) as caught:
            call(secret)  # type: ignore[operator]
        shown += traceback.format_exception(caught.value)
    assert KEY not in "".join(shown)
    assert secret.reveal() == KEY


def test_secrets_compare_by_value() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert len({Secret(KEY), Secret(KEY), Secret("other_secret")}) == 2
    assert Secret(KEY) != KEY
    assert not Secret("")
