"""Tables that do on demand whatever a table must not do. They run inside the backend (see conftest.py).

Table options say what: ``rows`` and ``batch`` how much, ``fail`` with ``with`` at which entry point which of
FAILURES is raised, ``values`` one of VALUES instead of good ones, ``rows_like`` one of ROWS instead of good
rows. The table with option ``object`` 'calls' lists the calls of the other tables since it was last read.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import hashlib
import signal
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

import _stripe_fdw_host as host

from stripe_fdw.errors import ApiError, ColumnError, Interrupted, NotFoundError, OptionError
from stripe_fdw.fdw.backend.bundled import BundledHost
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.writing.plan.explain import PlannedChange

CALLS: list[tuple[str, str]] = []
ALIVE = {"scans": 0, "statements": 0}


class Seconds(NamedTuple):
    alone: Any
    ahead: Any


class Size(NamedTuple):
    rows: Any
    seconds: Any


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Odd(Exception):  # noqa: N818
    def __getattribute__(self, name: str) -> Any:
        raise KeyError(name)

    __str__ = None  # type: ignore[assignment]


class MuteForGood(ApiError):  # noqa: N818
    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


def of(error: type[BaseException], *arguments: object, **more: object) -> Callable[[], NoReturn]:
    def failure() -> NoReturn:
        raise error(*arguments, **more)

    return failure


def group() -> NoReturn:
    raise BaseExceptionGroup("several", [KeyboardInterrupt(), ValueError("one")])


def chain() -> NoReturn:
    try:
        raise ValueError("first")
    except ValueError as error:
        raise KeyError("second") from error


def wait_for(seconds: float, said: str | None) -> None:
    """Wait as for an answer; ``said`` is what to tell when a cancel comes between."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            host.check_interrupts()
        except Interrupted:
            if said is None:
                raise
            raise Interrupted("not seen", detail=said, hint="Look before you run it again.") from None
        time.sleep(0.01)


class SlowFinalizer:
    """Waits when it is let go, as a connection may; Python swallows whatever the wait ends with."""

    def __del__(self) -> None:
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            host.check_interrupts()
            time.sleep(0.01)


def slow_finalizer() -> NoReturn:
    waiting = SlowFinalizer()
    raise ValueError(f"a finalizer is coming, {type(waiting).__name__}")


FAILURES: dict[str, Callable[[], object]] = {
    "ours": of(ApiError, "No such price", detail="param: price", hint="Look it up.", sqlstate="22023"),
    "not found": of(NotFoundError, "No such customer"),
    "success as sqlstate": of(ApiError, "not a success", sqlstate="00000"),
    "bad sqlstate": of(ApiError, "odd", sqlstate="é'\0"),
    "odd parts": of(ApiError, 5, detail=object(), hint=b"x"),
    "nul": of(ApiError, "a\0b", detail="c\0d"),
    "surrogate": of(ApiError, "a\ud800b", hint="\udfff"),
    "secret": of(RuntimeError, "key sk_live_51abcdefghijklmnop"),
    "our secret": of(ApiError, "sk_live_51abcdefghijklmnop", detail="sk_live_51abc", hint="sk_live_51abc"),
    "percent": of(ApiError, "100%s %n %d"),
    "long": of(ApiError, "ä" * 1_000_000),
    "interrupted": of(Interrupted, "stopped"),
    "value": of(ValueError, "bad value"),
    "mute": of(Mute),
    "odd": of(Odd),
    "mute for good": of(MuteForGood, "never seen"),
    "stop iteration": of(StopIteration, 3),
    "stop async": of(StopAsyncIteration),
    "memory": of(MemoryError),
    "exit": of(SystemExit, 3),
    "keyboard": of(KeyboardInterrupt),
    "generator exit": of(GeneratorExit),
    "recursion": recurse,
    "assertion": of(AssertionError),
    "os": of(OSError, 5, "input/output error"),
    "key": of(KeyError, "k"),
    "group": group,
    "chain": chain,
    "unicode": "\ud800".encode,
    "slow finalizer": slow_finalizer,
}

NAN, INFINITY = float("nan"), float("inf")
UTC = dt.UTC
VALUES: dict[str, object] = {
    "object": object(),
    "bytes": b"\xff\xfe",
    "bytes nul": b"{\0}",
    "json half": '{"a": ',
    "json bytes half": b"[1,",
    "json nul": '{"a": "\\u0000"}',
    "json deep": "[" * 200_000,
    "dict": {"a": [1, None, True]},
    "dict of objects": {"a": object()},
    "dict of surrogates": {"a": "\ud800"},
    "deep": eval("[" * 50 + "]" * 50),
    "list": [1, 2],
    "set": {1},
    "tuple": (1,),
    "type": int,
    "ellipsis": ...,
    "surrogate": "a\ud800",
    "nul": "a\0b",
    "empty": "",
    "text": "text",
    "accents": "é",
    "snowman": "☃",
    "number text": "17",
    "long text": "x" * 3_000_000,
    "true": True,
    "zero": 0,
    "int": 42,
    "int2 out": 40_000,
    "int4 out": 2**31,
    "int8 out": 2**63,
    "int8 least": -(2**63),
    "huge": 10**400,
    "very huge": 10**5000,
    "float": 1.5,
    "nan": NAN,
    "infinity": INFINITY,
    "minus infinity": -INFINITY,
    "float4 out": 1e300,
    "decimal": Decimal("12.50"),
    "decimal nan": Decimal("NaN"),
    "decimal snan": Decimal("sNaN"),
    "decimal infinity": Decimal("Infinity"),
    "decimal huge": Decimal("1e200000"),
    "naive": dt.datetime(2024, 5, 1),
    "aware": dt.datetime(2024, 5, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=9))),
    "first": dt.datetime.min.replace(tzinfo=UTC),
    "last": dt.datetime.max.replace(tzinfo=UTC),
    "date": dt.date(2024, 5, 1),
    "time": dt.time(1, 2),
    "infinite": "infinity",
    "stop": StopIteration,
}

ROWS: dict[str, Callable[[int], object]] = {
    "short": lambda width: ("x",) * (width - 1),
    "long": lambda width: ("x",) * (width + 1),
    "empty": lambda width: (),
    "list": lambda width: ["x"] * width,
    "none": lambda width: None,
    "dict": lambda width: {"a": 1},
    "text": lambda width: "x" * width,
    "huge": lambda width: tuple("y" * 10_000_000 for _ in range(width)),
}

BATCHES: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "int": lambda: 7,
    "generator": lambda: (row for row in [(1,)]),
    "text": lambda: "ab",
    "dict": lambda: {1: 2},
}


def alive() -> list[tuple[str, str]]:
    """What is open now: for the option ``lines``."""
    return [("Alive", f"scans {ALIVE['scans']}, statements {ALIVE['statements']}")]


def trim() -> list[tuple[str, str]]:
    """Give the memory that nothing uses back to the system: for ``lines``."""
    return [("Trimmed", str(ctypes.CDLL(None).malloc_trim(0)))]


_PAUSES: list[float] = []


def _tick() -> None:
    last = time.monotonic()
    while True:
        time.sleep(0.01)
        now = time.monotonic()
        _PAUSES.append(now - last)
        last = now


def longest_pause() -> list[tuple[str, str]]:
    """How long a thread of Python's stood still since the last call, which starts it: for ``lines``."""
    if not _PAUSES:
        threading.Thread(target=_tick, daemon=True).start()
    longest = max(_PAUSES, default=0.0)
    _PAUSES[:] = [0.0]
    return [("Pause", f"{longest:.3f}")]


def good(number: int, column: Any) -> object:
    """A value that fits the column's type; number makes it one of a kind."""
    match column.type_name:
        case "bigint" | "integer" | "smallint" | "double precision" | "real" | "numeric":
            return number
        case "boolean":
            return None if number % 3 == 2 else number % 3 == 0
        case "timestamp with time zone":
            return 1_700_000_000 + number * 86_400
        case "date":
            return dt.date(2024, 1, 1) + dt.timedelta(days=number)
        case "jsonb" | "json":
            return f'{{"number": {number}}}'
        case _:
            return f"{column.column_name}{number}"


def work_forever() -> None:
    """What a read-ahead thread does at its worst: busy in libraries whenever the session ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        hashlib.sha256(b"x" * 3_000_000).digest()
        ssl.create_default_context()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers("ALL")


class Scan:
    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        ALIVE["scans"] += 1
        self.table, self.columns, self.next = table, columns, 0
        self.closed = False
        if "finalizer" in table.options:
            self.last = SlowFinalizer()
        for _ in range(int(table.options.get("threads", "0"))):
            threading.Thread(target=work_forever, daemon=True).start()

    def next_batch(self) -> Any:
        table, options = self.table, self.table.options
        if self.next >= int(options.get("fail_after", "0")):
            table.maybe_fail("next_batch")
        wait = time.monotonic() + float(options.get("slow", "0"))
        while time.monotonic() < wait:
            try:
                host.check_interrupts()
            except BaseException:
                if "swallow" not in options:
                    raise
            time.sleep(0.01)
        if "batch_like" in options:
            return BATCHES[options["batch_like"]]()
        end = min(self.next + int(options.get("batch", "100")), int(options.get("rows", "3")))
        if "repeat" in options:
            return self.same(int(options["repeat"]))
        batch = [self.row(number) for number in range(self.next, end)]
        self.next = end
        return batch

    def same(self, times: int) -> Any:
        """The same batch over and over: the table's own work does not count."""
        if self.next == 0:
            self.batch = [self.row(number) for number in range(int(self.table.options.get("batch", "100")))]
        self.next += 1
        return self.batch if self.next <= times else []

    def row(self, number: int) -> Any:
        options = self.table.options
        if options.get("object") == "calls":
            call, what = self.table.calls[number]
            return tuple({"call": call, "what": what}.get(name) for name in self.columns)
        if "rows_like" in options:
            return ROWS[options["rows_like"]](len(self.columns))
        if "values" in options:
            return tuple(VALUES[options["values"]] for _ in self.columns)
        return tuple(good(number, self.table.columns[name]) for name in self.columns)

    def statistics(self) -> list[tuple[str, str]]:
        self.table.maybe_fail("statistics")
        return [("Rows read", str(self.next))]

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        ALIVE["scans"] -= 1
        self.table.maybe_fail("close")


class Table:
    def __init__(self, session: Session, options: dict[str, str], columns: dict[str, Any]) -> None:
        self.session, self.options, self.columns = session, options, columns
        self.maybe_fail("init")
        if options.get("fail") in ("begin_statement", "end_statement"):
            session.failing[options["fail"]] = self

    def maybe_fail(self, point: str) -> None:
        if self.options.get("fail") == point:
            FAILURES[self.options["with"]]()

    def note(self, call: str, *what: object) -> None:
        if self.options.get("object") != "calls" and "quiet" not in self.options:
            CALLS.append((call, ", ".join(map(repr, what))))

    def size(self, quals: list[Qual]) -> Any:
        self.maybe_fail("size")
        if "size" in self.options:
            size = eval(self.options["size"])
            if not isinstance(size, tuple) or len(size) != 3:
                return size
            return Size(size[0], Seconds(size[2], size[2]))
        rows = float(self.options.get("estimate", "3"))
        columns = {qual.column for qual in quals}
        rows = min([rows, *(found for key, found in self._paths() if set(key) <= columns)])
        return Size(rows, Seconds(rows / 1000, rows / 1000))

    def width(self, columns: list[str]) -> Any:
        self.maybe_fail("width")
        size = eval(self.options.get("size", "()"))
        return size[1] if isinstance(size, tuple) and len(size) == 3 else 100

    def rows_per_value(self) -> list[tuple[str, float]]:
        return []

    def rows_ahead(self) -> int:
        return 0

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        self.maybe_fail("path_keys")
        return eval(self.options["paths"]) if "paths" in self.options else [(("id",), 1)]

    def _paths(self) -> list[tuple[tuple[str, ...], float]]:
        """The path keys that are well-formed."""
        keys = eval(self.options.get("paths", "[(('id',), 1)]"))
        try:
            return [(tuple(key), float(rows)) for key, rows in keys]
        except (TypeError, ValueError):
            return []

    def sortable(self, keys: list[SortKey]) -> list[SortKey]:
        self.maybe_fail("sortable")
        if "sorts" in self.options:
            return eval(self.options["sorts"])
        return keys[:1] if keys[0].column in ("created", "n") and not keys[0].descending else []

    def describe(
        self,
        quals: list[Qual],
        keys: list[SortKey],
        limit: int | None,
        verbose: bool,
        named: list[str],
    ) -> list[tuple[str, str]]:
        self.maybe_fail("describe")
        if "lines" in self.options:
            return eval(self.options["lines"])
        return [
            ("Quals", " and ".join(map(str, quals))),
            ("Sort", ", ".join(map(str, keys))),
            ("Limit hint", str(limit)),
        ]

    def describe_write(self, change: PlannedChange) -> list[tuple[str, str]]:
        self.maybe_fail("describe_write")
        return [("Command", f"{change.command} {', '.join(change.columns)}"), ("Known", str(change.known))]

    def say(self) -> None:
        """Try what the builtin module offers, also from where it must refuse."""
        host.warning("a\u00e4 warning", None, "its hint")
        host.warning("another", "its d\u00e9tail")
        for function in (host.check_interrupts, lambda: host.warning("from a thread")):
            with ThreadPoolExecutor(1) as pool:
                host.warning(repr(pool.submit(function).exception()))
        for arguments in ((), (1,), ("a\0b",), ("\ud800",), ("a", 2), ("a", "b", "c", "d")):
            try:
                host.warning(*arguments)
            except (TypeError, ValueError) as error:
                host.warning(type(error).__name__)

    def open_scan(
        self,
        quals: list[Qual],
        columns: list[str],
        keys: list[SortKey],
        limit: int | None,
        fresh: bool,
        named: list[str],
    ) -> Scan:
        self.note("open_scan", quals, columns, keys, limit)
        if fresh:
            self.note("fresh")
        self.maybe_fail("open_scan")
        if "say" in self.options:
            self.say()
        if self.options.get("object") == "calls":
            self.calls = CALLS[:]
            self.options["rows"] = str(len(CALLS))
            CALLS.clear()
        return Scan(self, columns)

    # ---- writing

    def row_identity(self) -> Any:
        self.maybe_fail("row_identity")
        return eval(self.options.get("identity", "('id',)"))

    def insert_row(self, values: dict[str, object], answered: list[str] | None, cost: object) -> Any:
        return self.write("insert", {**values, "id": f"new_{values.get('n')}"}, answered, values)

    def update_row(
        self, old: dict[str, object], values: dict[str, object], answered: list[str] | None, cost: object
    ) -> Any:
        return self.write("update", {**values, "text": "answered"}, answered, old, values)

    def delete_row(self, old: dict[str, object], answered: bool, cost: object) -> None:
        self.write("delete", None, answered, old)

    def write(self, call: str, answer: Any, answered: list[str] | bool | None, *what: object) -> Any:
        self.session.writing[id(self)] = self
        self.note(call, *what, *(() if answered not in (None, False) else ("unseen",)))
        self.written = getattr(self, "written", 0) + 1
        if self.written > int(self.options.get("fail_after", "0")):
            self.maybe_fail(call)
        wait_for(float(self.options.get("slow_write", "0")), self.options.get("interrupted"))
        if "answer" in self.options:
            return eval(self.options["answer"])
        return answer

    def end_modify(self) -> None:
        self.note("end_modify")
        self.written = 0
        wait_for(float(self.options.get("slow_end", "0")), self.options.get("interrupted"))
        self.maybe_fail("end_modify")


class Session:
    """Tells the tables that have written how their transaction goes on."""

    def __init__(self, host: BundledHost) -> None:
        self.host = host
        self.failing: dict[str, Table] = {}
        self.writing: dict[int, Table] = {}

    def begin_statement(self) -> None:
        ALIVE["statements"] += 1
        self._fail("begin_statement")

    def end_statement(self) -> None:
        ALIVE["statements"] -= 1
        self._fail("end_statement")

    def _fail(self, point: str) -> None:
        table = self.failing.pop(point, None)
        if table is not None:
            table.maybe_fail(point)

    def pre_commit(self) -> None:
        self._event("pre_commit")

    def commit(self) -> None:
        self._event("commit")

    def rollback(self) -> None:
        self._event("rollback")

    def sub_commit(self, level: int) -> None:
        self._event("sub_commit", level)

    def sub_rollback(self, level: int) -> None:
        self._event("sub_rollback", level)

    def _event(self, name: str, *arguments: object) -> None:
        tables = list(self.writing.values())
        if name in ("commit", "rollback"):
            self.writing.clear()
        failure: BaseException | None = None
        for table in tables:
            table.note(name, *arguments)
            if "warn" in table.options:
                self.host.warn(f"{name}: {table.options['warn']}", "a d\u00e9tail", "a hint")
            if "ask" in table.options and name.endswith("rollback"):
                cancelled, caught = self.host.is_cancelled(), self.host.error_is_caught()
                self.host.warn(f"{name}: cancelled {cancelled}, caught {caught}")
            try:
                table.maybe_fail(name)
            except BaseException as error:  # noqa: BLE001 - the others must hear of it too
                failure = failure or error
        if failure is not None:
            raise failure


open_table = Table


def import_statements(
    remote_schema: str,
    server: str,
    options: dict[str, str],
    restriction: str | None,
    tables: list[str],
) -> Any:
    if "with" in options:
        FAILURES[options["with"]]()
    if "give" in options:
        return eval(options["give"])
    CALLS.append(("import", repr((remote_schema, restriction, tables))))
    return [f"create foreign table {name} (id text) server {server}" for name in ("one", "two")]


def validate_options(kind: str, options: dict[str, str]) -> None:
    if options.get("fail") == "validate":
        FAILURES[options["with"]]()
    if "tell" in options:
        kinds: dict[str, type[BaseException]] = {"value": ValueError, "keyboard": KeyboardInterrupt}
        said = ", ".join(f"{name} is {value}" for name, value in options.items())
        if options["tell"] in kinds:
            raise kinds[options["tell"]](said)
        raise OptionError(said, detail=said, hint=said)
    if "colour" in options:
        raise OptionError(f"a {kind} has no option colour", hint="Valid options: object, rows.")


def unused() -> ColumnError:
    return ColumnError("for the type")
