"""The options of servers, foreign tables and user mappings: which there are, their values and checks."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from stripe_fdw import sqlstates
from stripe_fdw.api.api_base import STRIPE, check_api_base
from stripe_fdw.api.client import DEFAULT_TIMEOUT
from stripe_fdw.errors import AuthenticationError, OptionError
from stripe_fdw.redaction import Secret
from stripe_fdw.sql_quoting import quote_identifier
from stripe_fdw.suggestions import closest_names
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

OptionContext = Literal["wrapper", "server", "table", "user mapping", "column"]

KEYS: Final = ("api_key", "api_key_file", "api_key_env")
VALID: Final[Mapping[OptionContext, tuple[str, ...]]] = {
    "wrapper": (),
    "server": (
        "api_base",
        "ask_ahead",
        "stripe_account",
        "cache_ttl",
        "max_requests_per_second",
        "timeout",
        "use_search",
        "write_concurrency",
    ),
    "table": ("object", "copied"),
    "user mapping": KEYS,
    "column": ("column_name",),
}
_INVALID_VALUE: Final = sqlstates.FDW_INVALID_ATTRIBUTE_VALUE
_MAX_KEY_FILE: Final = 4096  # bytes
_KEY: Final = re.compile(r"[\x21-\x7e]+")
_ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9]{1,250}")


class ServerOptions(Struct, frozen=True):
    """The checked options of a server."""

    api_base: str = STRIPE
    ask_ahead: bool = True  # for the next rows of nested loops
    stripe_account: str | None = None
    cache_ttl: float = 0.0  # seconds; 0: no cache
    max_requests_per_second: float | None = None
    timeout: float = DEFAULT_TIMEOUT  # seconds
    use_search: bool = False
    write_concurrency: int = 1  # requests that a writing statement has under way at a time


class MergedOptions(dict[str, str]):
    """The options that hold for a foreign table, merged, and of whom its user mapping is looked up."""

    role: str = ""
    """The role whose mapping it is, or that of PUBLIC; empty where the host does not say."""
    server: str = ""
    """The foreign server; empty where the host does not say."""
    schema: str = ""
    """The schema of the foreign table, quoted where SQL needs it; empty where the host does not say."""
    table: str = ""
    """The name of the foreign table, as ``schema``."""
    has_usage: bool = False
    """Whether the role has USAGE on the server, so that it may make a mapping of its own."""


def validate_options(context: OptionContext, options: Mapping[str, str]) -> None:
    """Raise OptionError for an option that the context does not have, or whose value cannot be used."""
    for name in options:
        if name not in VALID[context]:
            raise _unknown(context, name)
    if context == "server":
        server_options(options)
    if context == "table" and options.get("copied") == "":
        raise OptionError("option copied is empty", sqlstate=_INVALID_VALUE)
    if context == "column" and options.get("column_name") == "":
        raise OptionError("option column_name is empty", sqlstate=_INVALID_VALUE)
    if context == "user mapping":
        key_options = [name for name in KEYS if name in options]
        if len(key_options) != 1:
            raise OptionError(
                f"a user mapping needs exactly one of {', '.join(KEYS)}"
                + (f", not {' and '.join(key_options)}" if key_options else ""),
                hint="CREATE USER MAPPING FOR ... SERVER ... OPTIONS (api_key '...');",
            )
        key_option = key_options[0]
        if not options[key_option].strip():
            raise OptionError(f"option {key_option} is empty", sqlstate=_INVALID_VALUE)
        if key_option == "api_key_file" and not Path(options["api_key_file"]).is_absolute():
            raise OptionError(
                "option api_key_file must be an absolute path on the database host", sqlstate=_INVALID_VALUE
            )
        if key_option == "api_key":
            _check_api_key(options["api_key"].strip())


def _check_api_key(key: str) -> None:
    """Raise OptionError for what cannot be a key that reads anything."""
    if not _KEY.fullmatch(key):
        raise OptionError(
            "the API key holds characters that no key has, such as spaces or line ends",
            sqlstate=_INVALID_VALUE,
        )
    message = None
    if not key.strip("."):  # as hints have it
        message = "the API key is the placeholder of an example"
    elif key.startswith("pk_"):
        message = "the API key is a publishable key (pk_...), which can read nothing"
    if message:
        raise OptionError(
            message, hint="Use a restricted key (rk_...) or a secret key (sk_...).", sqlstate=_INVALID_VALUE
        )


def check_merged_options(options: Mapping[str, str]) -> None:
    """Check the names of the merged options of foreign data wrapper, server, table and user mapping.

    Raises:
        OptionError: no context has such an option.
    """
    valid = {name for context, names in VALID.items() for name in names if context != "column"}
    for name in options:
        if name not in valid:
            raise _unknown("server", name)


def _unknown(context: OptionContext, name: str) -> OptionError:
    contexts = [other for other in VALID if name in VALID[other]]
    valid = VALID[context]
    if name in KEYS:
        return OptionError(
            f"option {name} belongs in the user mapping, not in a {context}",
            detail="Options of servers and tables can be read by every role of the database.",
            hint=f"CREATE USER MAPPING FOR ... SERVER ... OPTIONS ({name} '...');",
        )
    if contexts:
        return OptionError(
            f"option {name} belongs in the {contexts[0]}, not in a {context}", hint=_listing(context, valid)
        )
    shown = excerpt(name, MAX_NAME_CHARACTERS)
    closest = closest_names(shown, valid, n=len(valid) + 1, cutoff=0.0)
    return OptionError(f'there is no option "{shown}" of a {context}', hint=_listing(context, closest))


def _listing(context: OptionContext, names: tuple[str, ...] | list[str]) -> str:
    return f"Options of a {context}: {', '.join(names)}." if names else f"A {context} has no options."


def server_options(options: Mapping[str, str]) -> ServerOptions:
    """Return the server's options as values. Options of other contexts are ignored.

    Raises:
        OptionError: a value cannot be used. The message says which values the option takes.
    """
    account = options.get("stripe_account")
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise _invalid_value("stripe_account", account, "the id of a connected account, acct_...")
    rate = options.get("max_requests_per_second")
    return ServerOptions(
        api_base=check_api_base(options["api_base"]) if "api_base" in options else STRIPE,
        ask_ahead=_boolean("ask_ahead", options.get("ask_ahead", "true")),
        stripe_account=account,
        cache_ttl=_number("cache_ttl", options.get("cache_ttl", "0"), 0, 86_400 * 30, "seconds"),
        max_requests_per_second=None
        if rate is None
        else _number("max_requests_per_second", rate, 0.01, 10_000, "requests per second"),
        timeout=_number("timeout", options.get("timeout", str(DEFAULT_TIMEOUT)), 0.1, 3600, "seconds"),
        use_search=_boolean("use_search", options.get("use_search", "false")),
        write_concurrency=_whole("write_concurrency", options.get("write_concurrency", "1"), 1, 32),
    )


def copies_schema(options: Mapping[str, str]) -> str | None:
    """Return the schema of the copies that take the answers to what is written to the table by a trigger.

    None if there are none.
    """
    return options.get("copied")


def _invalid_value(name: str, value: str, takes: str) -> OptionError:
    return OptionError(
        f'option {name} has the value "{excerpt(value, MAX_NAME_CHARACTERS)}", but takes {takes}',
        sqlstate=_INVALID_VALUE,
    )


def _number(name: str, text: str, lowest: float, highest: float, unit: str) -> float:
    takes = f"a number of {unit} from {lowest:.10g} to {highest:.10g}"
    try:
        number = float(text)
    except ValueError:
        raise _invalid_value(name, text, takes) from None
    if not lowest <= number <= highest:
        raise _invalid_value(name, text, takes)
    return number


def _whole(name: str, text: str, lowest: int, highest: int) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
        raise _invalid_value(name, text, f"a whole number from {lowest} to {highest}")
    return int(text)


def _boolean(name: str, text: str) -> bool:
    value = {"true": True, "on": True, "yes": True, "1": True, "t": True, "y": True}.get(text.lower())
    if value is None and text.lower() not in ("false", "off", "no", "0", "f", "n"):
        raise _invalid_value(name, text, "true or false")
    return bool(value)


def read_api_key(options: Mapping[str, str]) -> Secret:
    """Return the API key of the user mapping. A file or variable is read now, since it may have changed.

    Raises:
        AuthenticationError: there is no mapping, or the file or variable gives no key.
        OptionError: more than one option names a key.
    """
    key_options = {name: options[name] for name in KEYS if name in options}
    if not key_options:
        raise _no_mapping(options)
    validate_options("user mapping", key_options)
    if "api_key" in key_options:
        return Secret(key_options["api_key"].strip())
    try:
        return _from_outside(key_options)
    except AuthenticationError as error:
        if isinstance(options, MergedOptions) and options.role and options.server:
            error.detail = (
                f'It is named by the user mapping of role "{options.role}" on server "{options.server}",'
                " or by that of PUBLIC."
            )
        raise


def _from_outside(key_options: Mapping[str, str]) -> Secret:
    """Return the key that a file or an environment variable of the server holds."""
    if "api_key_env" in key_options:
        value = os.environ.get(key_options["api_key_env"], "").strip()
        if not value:
            raise AuthenticationError(
                f"environment variable {key_options['api_key_env']} of the database server holds no API key",
                hint="Set it where the server is started, and restart the server.",
            )
        return _key(value, f"environment variable {key_options['api_key_env']}")
    return _from_file(Path(key_options["api_key_file"]))


def _no_mapping(options: Mapping[str, str]) -> AuthenticationError:
    detail = "A view, a materialized view and a SECURITY DEFINER function read with their owner's mapping."
    if isinstance(options, MergedOptions) and options.role and options.server:
        role, server = quote_identifier(options.role), quote_identifier(options.server)
        return AuthenticationError(
            f'there is no API key: role "{options.role}" has no user mapping on server "{options.server}"',
            detail=detail,
            hint=f"CREATE USER MAPPING FOR {role} SERVER {server} OPTIONS (api_key '...');"
            + (
                ""
                if options.has_usage
                else " -- as the server's owner, or as the role itself after"
                f" GRANT USAGE ON FOREIGN SERVER {server} TO {role};"
            ),
        )
    return AuthenticationError(
        "there is no API key: the role that reads or writes the table has no user mapping on its server",
        detail="A SECURITY DEFINER function and a materialized view's refresh use their owner's mapping.",
        hint="CREATE USER MAPPING FOR role SERVER ... OPTIONS (api_key '...'); -- as the server's owner, or"
        " as the role itself after GRANT USAGE ON FOREIGN SERVER ... TO role;",
    )


def _from_file(path: Path) -> Secret:
    try:
        # A FIFO without a writer would hold the backend in open().
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise AuthenticationError(f"api_key_file {path} is not a regular file")
            if mode & (stat.S_IWGRP | stat.S_IRWXO):
                raise AuthenticationError(
                    f"api_key_file {path} may be read or changed by others (mode {stat.S_IMODE(mode):04o})",
                    hint=f"chmod 600 {path}, owned by the operating system's user of the database server.",
                )
            text = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise AuthenticationError(
            f"api_key_file {path} cannot be read: {error.strerror}",
            hint="The database server's operating system user must be able to read it.",
        ) from None
    if len(text) > _MAX_KEY_FILE:
        raise AuthenticationError(f"api_key_file {path} is too large to hold only an API key")
    key = text.decode("utf-8", "replace").strip()
    if not key:
        raise AuthenticationError(f"api_key_file {path} is empty")
    return _key(key, f"api_key_file {path}")


def _key(text: str, where: str) -> Secret:
    """Return the text if it may be a key: the content of another file must not leave the machine."""
    if not _KEY.fullmatch(text):
        raise AuthenticationError(
            f"{where} does not hold an API key",
            hint="It must hold the key alone: printable ASCII without spaces, on one line.",
        )
    return Secret(text)
