"""Options are checked when they are set, and a wrong one is named with the right ones."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from stripe_fdw.errors import AuthenticationError, OptionError
from stripe_fdw.fdw.schema.options import (
    MergedOptions,
    OptionContext,
    ServerOptions,
    check_merged_options,
    read_api_key,
    server_options,
    validate_options,
)
from support.waiting import hang_guard

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"

WRONG: list[tuple[OptionContext, dict[str, str], str, str]] = [
    ("server", {"api_bse": "x"}, "api_bse", "api_base, "),
    ("server", {"api_key": KEY}, "belongs in the user mapping", "CREATE USER MAPPING"),
    ("table", {"api_key": KEY}, "belongs in the user mapping", "CREATE USER MAPPING"),
    ("table", {"cache_ttl": "5"}, "belongs in the server", "object"),
    ("server", {"object": "customer"}, "belongs in the table", "api_base"),
    ("user mapping", {"cache_ttl": "5"}, "belongs in the server", "api_key"),
    ("user mapping", {"password": "x"}, "password", "api_key"),
    ("user mapping", {}, "exactly one of api_key, api_key_file, api_key_env", ""),
    ("user mapping", {"api_key": KEY, "api_key_env": "K"}, "exactly one", ""),
    ("user mapping", {"api_key": " "}, "api_key is empty", ""),
    ("user mapping", {"api_key": "pk_test_51H"}, "publishable key", "restricted key"),
    ("user mapping", {"api_key": "..."}, "placeholder of an example", "restricted key"),
    ("user mapping", {"api_key_file": "key"}, "absolute path", ""),
    ("wrapper", {"x": "y"}, '"x"', "has no options"),
    ("column", {"x": "y"}, '"x"', "column_name"),
    ("server", {"api_base": "http://example.com"}, "api_base", ""),
    ("server", {"api_base": "ftp://127.0.0.1"}, "api_base", ""),
    ("server", {"cache_ttl": "soon"}, "cache_ttl", ""),
    ("server", {"cache_ttl": "-1"}, "seconds from 0 to 2592000", ""),
    ("server", {"cache_ttl": "nan"}, "cache_ttl", ""),
    ("server", {"timeout": "0"}, "from 0.1 to 3600", ""),
    ("server", {"max_requests_per_second": "0"}, "max_requests_per_second", ""),
    ("server", {"use_search": "maybe"}, "use_search", ""),
    ("server", {"stripe_account": "me"}, "stripe_account", ""),
]


@pytest.mark.parametrize(("context", "options", "message", "hint"), WRONG, ids=lambda v: str(v)[:40])
def test_wrong_options(context: OptionContext, options: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(OptionError) as caught:
        validate_options(context, options)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert KEY not in str(caught.value)


def test_the_closest_option_comes_first() -> None:
    with pytest.raises(OptionError) as caught:
        validate_options("server", {"max_request_per_second": "5"})
    assert (caught.value.hint or "").startswith("Options of a server: max_requests_per_second,")


def test_right_options() -> None:
    validate_options("user mapping", {"api_key": KEY})
    validate_options("user mapping", {"api_key_file": "/etc/stripe/key"})
    validate_options("table", {"object": "customer"})
    options = {
        "api_base": "http://127.0.0.1:12111/",
        "ask_ahead": "off",
        "stripe_account": "acct_123",
        "cache_ttl": "2.5",
        "max_requests_per_second": "80",
        "timeout": "30",
        "use_search": "on",
    }
    validate_options("server", options)
    assert server_options(options) == ServerOptions(
        "http://127.0.0.1:12111", False, "acct_123", 2.5, 80.0, 30.0, True
    )
    assert server_options({}) == ServerOptions()


def test_without_a_mapping_the_error_says_how_to_make_one() -> None:
    with pytest.raises(AuthenticationError) as caught:
        read_api_key({})
    assert caught.value.sqlstate == "28000"
    assert "CREATE USER MAPPING FOR role SERVER" in (caught.value.hint or "")


def test_an_error_names_the_role_and_the_server_where_the_host_tells_them() -> None:
    options = MergedOptions({"object": "customer"})
    options.role, options.server = 'the "owner"', "stripe"
    with pytest.raises(
        AuthenticationError, match='role "the "owner"" has no user mapping on server'
    ) as caught:
        read_api_key(options)
    create = """CREATE USER MAPPING FOR "the ""owner""\" SERVER "stripe" OPTIONS (api_key '...');"""
    assert caught.value.hint == (
        f"{create} -- as the server's owner, or as the role itself after"
        ' GRANT USAGE ON FOREIGN SERVER "stripe" TO "the ""owner""";'
    )
    options.has_usage = True
    with pytest.raises(AuthenticationError) as caught:
        read_api_key(options)
    assert caught.value.hint == create


def test_column_name_is_an_option_of_columns_alone() -> None:
    validate_options("column", {"column_name": "email"})
    for context in ("server", "table", "user mapping", "wrapper"):
        with pytest.raises(OptionError, match="column_name belongs in the column"):
            validate_options(context, {"column_name": "email"})
    with pytest.raises(OptionError, match="empty"):
        validate_options("column", {"column_name": ""})
    with pytest.raises(OptionError, match="column_name"):
        check_merged_options({"object": "customer", "column_name": "email"})


def test_a_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", f" {KEY}\n")
    assert read_api_key({"api_key_env": "A_KEY"}).reveal() == KEY
    monkeypatch.delenv("A_KEY")
    with pytest.raises(AuthenticationError, match="A_KEY"):
        read_api_key({"api_key_env": "A_KEY"})


def test_a_key_from_a_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    file.chmod(0o600)
    assert read_api_key({"api_key_file": str(file)}).reveal() == KEY
    file.write_text("sk_test_another000000000000000000")
    assert read_api_key({"api_key_file": str(file)}).reveal() != KEY


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(mode)
    with pytest.raises(AuthenticationError, match="others") as caught:
        read_api_key({"api_key_file": str(file)})
    assert "chmod 600" in (caught.value.hint or "")


def test_a_key_file_that_is_a_fifo_without_a_writer_is_refused_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "key"
    os.mkfifo(fifo, 0o600)
    with hang_guard(), pytest.raises(AuthenticationError, match="is not a regular file"):
        read_api_key({"api_key_file": str(fifo)})


def test_a_key_file_that_is_none(tmp_path: Path) -> None:
    empty, large = tmp_path / "empty", tmp_path / "large"
    empty.touch(0o600)
    large.write_bytes(b"x" * 5000)
    large.chmod(0o600)
    for file in (tmp_path / "missing", tmp_path, empty, large):
        with pytest.raises(AuthenticationError, match=file.name):
            read_api_key({"api_key_file": str(file)})


@pytest.mark.parametrize(
    "content", ["first line\nsecond", "two words", "schlüssel", "tab\there", "nul\0", "a\x7fb", "a\u2028b"]
)
def test_an_invalid_key_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(0o600)
    mappings: list[dict[str, str]] = [{"api_key_file": str(file)}]
    if "\0" not in content:
        monkeypatch.setenv("A_KEY", content)
        mappings.append({"api_key_env": "A_KEY"})
    for options in mappings:
        with pytest.raises(AuthenticationError, match="does not hold an API key") as caught:
            read_api_key(options)
        error_text = f"{caught.value} {caught.value.detail} {caught.value.hint}"
        assert not any(word in error_text for word in re.split(r"\s", content) if len(word) > 4)


def test_a_secret_never_prints() -> None:
    assert KEY not in repr(read_api_key({"api_key": KEY}))


def test_merged_options_are_checked_without_their_contexts() -> None:
    check_merged_options({"object": "customer", "api_key": KEY, "cache_ttl": "1"})
    with pytest.raises(OptionError, match='"cache_tl"') as caught:
        check_merged_options({"cache_tl": "1"})
    assert (caught.value.hint or "").startswith("Options of a server: cache_ttl,")
