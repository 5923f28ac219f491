"""What the bridge makes of a wrapper's answers, without Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stripe_fdw.host import bridge
from stripe_fdw.host.sql_errors import WrapperError
from stripe_fdw.version import __version__


class Wrapper:
    made = 0

    def __init__(self, options: dict[str, str], columns: dict[str, Any]) -> None:
        Wrapper.made += 1
        self.options, self.columns = options, columns


@pytest.fixture(autouse=True)
def wrapper(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bridge, "_wrapper_class", lambda: Wrapper)
    yield
    bridge._wrappers.clear()


COLUMN = ("id", "text", 25, -1)


def table(
    relid: int = 1, user: int = 10, mapping: str = "x", column: tuple[str, str, int, int] = COLUMN
) -> Any:
    options = ({"a": "wrapper"}, {"a": "table", "b": "table"}, {"b": "server"}, {"key": mapping})
    return bridge.table(relid, user, "t", options, [column])


def test_options_are_merged_and_columns_described() -> None:
    made = table()
    assert made.options == {"a": "table", "b": "server", "key": "x"}
    assert made.columns["id"].type_name == "text"
    assert (made.columns["id"].type_oid, made.columns["id"].typmod) == (25, -1)


def test_a_wrapper_is_kept_until_something_changes() -> None:
    first = table()
    assert table() is first
    assert table(user=11) is not first
    assert table(mapping="y") is not first
    changed = table(mapping="y", column=("id", "bigint", 20, -1))
    assert table(mapping="y", column=("id", "bigint", 20, -1)) is changed


def test_kept_wrappers_are_bounded() -> None:
    for relid in range(bridge._WRAPPERS_KEPT + 20):
        table(relid)
    assert len(bridge._wrappers) == bridge._WRAPPERS_KEPT


def test_another_version_of_the_package_is_refused() -> None:
    bridge.start(__version__, None)
    with pytest.raises(WrapperError, match=r"version 0\.0\.0 of the package") as caught:
        bridge.start("0.0.0", None)
    assert "host install" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "before", "together"),
    [
        ("3", "4", "7"),
        ("3", None, "3"),
        ("1.5 ms", "0.25 ms", "1.75 ms"),
        ("1.0 ms", "2.0 ms", "3.0 ms"),
        ("1 ms", "1 s", "1 ms"),
        ("yes", "no", "yes"),
        ("-1", "5", "-1"),
    ],
)
def test_statistics_are_added(text: str, before: str | None, together: str) -> None:
    class Scan:
        def statistics(self) -> list[tuple[str, str]]:
            return [("Label", text)]

    assert bridge.statistics(Scan(), before and [("Label", before)]) == [("Label", together)]
    assert bridge.statistics(None, [("Label", "5")]) == [("Label", "5")]
    assert bridge.statistics(None, None) == []


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (5, "5"), (1.5, "1.5"), (b"x", None), ([], None), (object(), None)]
)
def test_texts_for_input_functions(value: object, text: str | None) -> None:
    assert bridge.to_text(value) == text


def test_all_who_wrote_hear_of_the_end_though_one_fails() -> None:
    heard = []

    class Writer:
        def __init__(self, name: str) -> None:
            self.name = name

        def commit(self) -> None:
            heard.append(self.name)
            raise KeyError(self.name)

    writers = [Writer("one"), Writer("two")]
    for writer in writers:
        bridge.begin_modify(writer, 1)
    with pytest.raises(KeyError, match="one"):
        bridge.transaction("commit", 1)
    assert heard == ["one", "two"]
    bridge.transaction("commit", 1)
    assert len(heard) == 2
