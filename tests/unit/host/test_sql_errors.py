"""Conversion of exceptions to SQL errors, also of exceptions that misbehave."""

from __future__ import annotations

import pytest

from stripe_fdw.errors import ApiError, CardError, Interrupted, MissingQualError, OptionError
from stripe_fdw.host.sql_errors import explain_error, without_values


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Strange(ApiError):  # noqa: N818
    def __getattribute__(self, name: str) -> object:
        raise SystemExit


class Closed(Exception):  # noqa: N818
    def __getattribute__(self, name: str) -> object:
        raise SystemExit


class TextLike(str):
    def __str__(self) -> str:
        raise ValueError


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


def test_our_errors_keep_their_parts() -> None:
    error = MissingQualError("no parent", detail="parent is required", hint="WHERE customer = ...")
    assert explain_error(raised(error)) == (
        "HV00L",
        "no parent",
        "parent is required",
        "WHERE customer = ...",
        None,
        None,
        None,
    )


def test_an_error_of_stripes_gives_its_code_as_constraint_and_its_parameter_as_column() -> None:
    error = CardError("Your card was declined.", code="card_declined", param="payment_method")
    assert explain_error(raised(error)) == (
        "ST402",
        "Your card was declined.",
        None,
        None,
        None,
        "card_declined",
        "payment_method",
    )


@pytest.mark.parametrize("state", ["00000", "01000", "02000", "0100", "é0000", "22p02", 5, None, ""])
def test_only_states_of_errors_are_used(state: object) -> None:
    error = ApiError("odd")
    error.sqlstate = state  # type: ignore[assignment]
    assert explain_error(error)[0] == "HV000"


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (MemoryError(), "53200", "Python exception MemoryError"),
        (RecursionError("deep"), "54001", "Python exception RecursionError: deep"),
        (KeyError("k"), "HV000", "Python exception KeyError: 'k'"),
        (SystemExit(3), "HV000", "Python exception SystemExit: 3"),
        (Mute(), "HV000", "Python exception Mute: (its text is not available: KeyboardInterrupt)"),
        (ValueError(TextLike("x")), "HV000",
         "Python exception ValueError: (its text is not available: ValueError)"),
        (Interrupted("stopped"), "57014", "stopped"),
        (BaseExceptionGroup("two", [KeyError(), ValueError()]), "HV000",
         "Python exception ExceptionGroup: two (2 sub-exceptions)"),
    ],
)  # fmt: skip
def test_any_exception(error: BaseException, state: str, message: str) -> None:
    assert explain_error(raised(error))[:2] == (state, message)


def test_the_context_has_places_and_no_values() -> None:
    secret = "sk_test_secret"
    try:
        int(secret)
    except ValueError as error:
        context = explain_error(error)[4]
    assert context is not None
    assert context.startswith("Python: host/test_sql_errors.py, line ")
    assert secret not in context


def test_exceptions_that_cannot_be_looked_at() -> None:
    # pytest looks at its parameters, so these are none.
    assert explain_error(Strange.__new__(Strange))[:2] == ("HV000", "Strange")
    assert explain_error(Closed())[0] == "HV000"


def test_texts_are_redacted() -> None:
    key = "sk_live_51abcdefghijklmnop"
    for error in (ApiError(key, detail=key, hint=key), ValueError(key), KeyError(key)):
        assert "51abc" not in repr(explain_error(raised(error)))


def test_an_error_of_options_holds_none_of_their_values() -> None:
    options = {"api_key": " no-key-by-its-looks ", "b": "x", "": "/a/path"}
    text = "x: no-key-by-its-looks in /a/path"
    error = without_values(raised(OptionError(text, detail=text, hint=text, sqlstate="HV024")), options)
    assert explain_error(error)[:4] == ("HV024", *["x: **** in ****"] * 3)
    for other in (ValueError(text), KeyboardInterrupt(text), Mute(), Closed(text)):
        assert "no-key" not in repr(explain_error(without_values(raised(other), options)))


def test_an_interrupt_stays_one_while_options_are_checked() -> None:
    assert explain_error(without_values(Interrupted("stopped"), {}))[:2] == ("57014", "stopped")
