"""The API key, its account and mode, and what Stripe's answer shows of the database server's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import psycopg

from stripe_fdw.checks.finding import Finding, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.database.errors import Report
from stripe_fdw.database.key_check import CheckedKey, RefusedKeyError
from stripe_fdw.fdw.schema.import_schema import CHECK_TABLE

_CLOCK_WARNING: Final = timedelta(minutes=1)
_CLOCK_PROBLEM: Final = timedelta(minutes=5)  # signatures of webhooks are valid for so long


def check_key_and_clock(subject: Subject) -> Iterator[Finding]:
    """Whether Stripe accepts the key, whether it is that of the copies, and how far the clocks differ."""
    if subject.foreign_server is None or (subject.known_key is None and not subject.asks_stripe):
        return
    if not subject.has_mapping:
        yield warning("key", "was not tried: there is no user mapping")
        return
    if subject.known_key is None and (reason := subject.unreadable) is not None:
        yield warning("key", f"was not tried: {reason}", _way_to_read(subject, reason))
        return
    if subject.known_key is None and isinstance(subject.session, Report):
        yield warning("key", "was not tried: the extension does not answer")
        return
    key = subject.key
    if isinstance(key, RefusedKeyError):
        yield problem("key", key.message, _replacement(subject) if key.report.status == 401 else key.hint)
        return
    mode = "live mode" if key.livemode else "test mode"
    whose = f"of account {key.account}" if key.account else "which may not read its own account"
    yield _other_account(subject, key) or ok("key", f"Stripe accepts the key, {whose}, in {mode}")
    yield _clock(key.clock_ahead)


def _way_to_read(subject: Subject, reason: str) -> str:
    return subject.init() if reason.startswith("there is no") else subject.grant(CHECK_TABLE)


def _replacement(subject: Subject) -> str:
    """Return how a key is replaced, by the place that the user mapping names, if the role can see it."""
    schemas = subject.schemas
    options = subject.value(
        "select umoptions from pg_user_mappings where srvname = %s and (usename = current_user or umuser = 0)"
        " order by umuser = 0 limit 1",
        schemas.server,
    )
    places = {str(item).partition("=")[0] for item in options} if isinstance(options, list) else set()
    if "api_key_file" in places:
        return "write a key that Stripe accepts into the file that api_key_file names"
    if "api_key_env" in places:
        return "set the variable that api_key_env names to a key that Stripe accepts, and restart the server"
    return f"{schemas.key_variable}=rk_... {subject.init()}"


def _other_account(subject: Subject, key: CheckedKey) -> Finding | None:
    """Return the finding that the copies are of another account than the key."""
    if not subject.has_copies or key.account is None:
        return None
    try:
        with subject.connection.transaction():
            row = subject.connection.execute(
                "select account_id, livemode from stripe_sync.account where schema = %s",
                (subject.schemas.copies,),
            ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    if row is None or row == (key.account, key.livemode):
        return None
    modes = {True: "live mode", False: "test mode"}
    return problem(
        "key",
        f"the key is of account {key.account} in {modes[key.livemode]}, but the copies in"
        f" {subject.schemas.copies} are of account {row[0]} in {modes[row[1]]}",
        f"{subject.schemas.key_variable}=rk_... {subject.init()}",
    )


def _clock(ahead: timedelta) -> Finding:
    difference = abs(ahead)
    seconds = f"{difference.total_seconds():.0f} s"
    # The answer has whole seconds, and was some time on its way.
    if difference < timedelta(seconds=2):
        return ok("clock", "the database server's clock agrees with Stripe's")
    side = "ahead of" if ahead > timedelta() else "behind"
    message = f"the database server's clock is {seconds} {side} Stripe's"
    if difference < _CLOCK_WARNING:
        return ok("clock", message)
    fix = "timedatectl set-ntp true"
    return (problem if difference >= _CLOCK_PROBLEM else warning)("clock", message, fix)
