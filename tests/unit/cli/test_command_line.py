"""The command line as a whole: help, ranges of numbers, and one format of errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import typer.main

from stripe_fdw.cli import _app
from stripe_fdw.database.errors import database_error
from support.commands import Command, run_command
from support.waiting import hang_guard, wait_until


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(typer.main.get_group(_app))), ids=" ".join)
def test_a_short_option_shows_the_help_of_each_command(path: tuple[str, ...]) -> None:
    short, long = (run_command(*path, option, environment={}) for option in ("-h", "--help"))
    assert (short.returncode, short.stderr) == (0, "")
    assert short.stdout == long.stdout
    assert short.stdout.lstrip().startswith("Usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulator", "--port", "-1"),
        ("simulator", "--port", "65536"),
        ("serve", "--port", "65536"),
        ("simulator", "--customers", "-1"),
        ("simulator", "--invoices", "10000001"),
        ("simulator", "--latency-ms", "nan"),
        ("simulator", "--rate", "0"),
        ("simulator", "--until", "99999999999999"),
        ("dev", "up", "--customers", "-1"),
        ("dev", "up", "--endpoint-rate", "0"),
        ("demo", "--customers", "9"),
        ("demo", "--latency-ms", "inf"),
        ("worker", "--concurrency", "0"),
        ("verify", "--sample", "0"),
    ],
    ids=" ".join,
)
def test_a_number_out_of_range_is_refused_by_name(arguments: tuple[str, ...]) -> None:
    command = run_command(*arguments, environment={}, timeout=30)
    assert (command.returncode, command.stdout) == (2, "")
    error, hint = command.stderr.splitlines()
    assert error.startswith(f"error: invalid value for '{arguments[-2]}'")
    path = " ".join(arguments[:-2])
    assert hint.startswith("hint: See ")
    assert hint.endswith(f" {path} --help.")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("statuss",), "no such command 'statuss'"),
        (("status", "--jsn"), "no such option: --jsn"),
        (("webhook", "create"), "missing argument 'URL'"),
        (("refresh", "--full", "--changes"), "--changes reads what has changed, --full everything"),
    ],
)
def test_a_command_line_that_cannot_be_understood_is_one_error(
    arguments: tuple[str, ...], expected: str
) -> None:
    command = run_command(*arguments, environment={})
    assert command.returncode == 2
    lines = command.stderr.splitlines()
    assert lines[0].lower().startswith("error: ")
    assert expected.lower() in lines[0].lower()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("STRIPE_FDW_BACKGROUND_SHARE", "7", "less than or equal to 1"),
        ("STRIPE_FDW_MAX_REQUESTS_PER_SECOND", "many", "a valid number"),
    ],
)
def test_a_setting_with_an_invalid_value_is_refused_by_name(name: str, value: str, reason: str) -> None:
    command = run_command("status", environment={name: value})
    error, hint = command.stderr.splitlines()
    assert command.returncode == 1
    assert error.startswith(f"error: {name} has an invalid value: ")
    assert reason in error
    assert hint.startswith("hint: ")


def test_a_file_that_cannot_be_made_is_named() -> None:
    command = run_command("dev", "up", "--directory", "/proc/none", environment={"PATH": "/usr/bin"})
    assert (command.returncode, command.stderr) == (1, "error: /proc/none: no such file or directory\n")


def test_a_database_that_does_not_answer_is_an_error_with_its_parts_in_their_places() -> None:
    url = "postgresql://127.0.0.1:1/none"
    command = run_command("status", environment={"DATABASE_URL": url})
    error, *further = command.stderr.splitlines()
    assert command.returncode == 1
    assert error.startswith("error: the database reported an error: connection failed")
    assert error.endswith("Connection refused")
    assert all(line.startswith(("detail: ", "hint: ")) for line in further)


def test_the_hint_of_a_command_follows_that_of_the_database() -> None:
    error = database_error(psycopg.OperationalError("first\n\tsecond\nthird"), "Run it again.")
    assert error.message == "the database reported an error: first"
    assert error.detail == "second third"
    assert error.hint == "Run it again."


def test_a_choice_that_there_is_not_is_refused_in_words_of_the_command() -> None:
    command = run_command("init", "--host", "docker", environment={})
    assert (command.returncode, command.stderr.splitlines()[0]) == (
        2, "error: invalid value for '--host': 'docker' is not one of 'bundled', 'multicorn2'",
    )  # fmt: skip


@pytest.mark.parametrize("is_early", [True, False], ids=["while it imports", "while it works"])
def test_an_interrupt_ends_with_one_line_and_its_exit_code(is_early: bool) -> None:
    """Of the program itself: forks have imported the command line already."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=app"
        shown = ["-X", "importtime"] if is_early else []
        process = subprocess.Popen(
            [sys.executable, *shown, "-m", "stripe_fdw", "status"],
            stderr=subprocess.PIPE,
            text=True,
            env={"DATABASE_URL": url},
        )
        assert process.stderr is not None
        with process, hang_guard(30), ExitStack() as open_until_then:
            if is_early:
                while "stripe_fdw.catalog" not in process.stderr.readline():
                    pass
            else:
                open_until_then.enter_context(silent.accept()[0])  # whose answer the command waits for
            process.send_signal(signal.SIGINT)
            lines = [line for line in process.stderr if not line.startswith("import time:")]
    assert (process.returncode, lines) == (130, ["error: interrupted\n"])


def test_an_interrupt_is_how_the_simulator_is_stopped() -> None:
    command = Command("simulator", environment={})
    wait_until(lambda: "listening on " in command.stdout)
    os.kill(command.pid, signal.SIGINT)
    assert (command.wait(), command.stderr) == (0, "")
