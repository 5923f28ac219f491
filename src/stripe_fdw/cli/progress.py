"""The progress of refreshes: bars where standard error is a terminal, and lines now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from stripe_fdw.cli.output import err, say
from stripe_fdw.copies.runs import Run
from stripe_fdw.counts import counted


@dataclass(slots=True)
class _Shown:
    """A refresh that is shown: what it had read when it began to be, and when it was last printed."""

    task: TaskID
    objects: int
    began_at: float
    printed_at: float


class ShownProgress:
    """Shows how far refreshes are. Threads may share it.

    ``line_seconds`` is the time between two lines about a resource, where standard error is no terminal.
    """

    def __init__(self, line_seconds: float = 10.0) -> None:
        self._line_seconds = line_seconds
        self._lock = threading.Lock()
        self._shown: dict[str, _Shown] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            _Counted("objects", "object"),
            _Rate(""),
            _Counted("requests", "request"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bars during the block."""
        with self._bars:
            yield

    def page(self, run: Run) -> None:
        """Show how far a run is. The time that is left is known from the last complete list."""
        with self._lock:
            now = time.monotonic()
            shown = self._shown.get(run.resource)
            if shown is None:
                task = self._bars.add_task(run.resource, total=None, requests=0, objects=0)
                shown = self._shown[run.resource] = _Shown(task, run.objects, now, now)
            total = max(run.expected, run.objects) if run.expected else None
            self._bars.update(
                shown.task, completed=run.objects, total=total, objects=run.objects, requests=run.requests
            )
            if not err.is_terminal and now - shown.printed_at >= self._line_seconds:
                shown.printed_at = now
                say(_line(run, shown, now))

    def finished(self, resource: str, report: Callable[[], object]) -> None:
        """Remove the bar of a resource, and call ``report`` while no other thread prints."""
        with self._lock:
            shown = self._shown.pop(resource, None)
            if shown is not None:
                self._bars.remove_task(shown.task)
            report()


class _Counted(TextColumn):
    """A number of requests, say, with its noun."""

    def __init__(self, field: str, noun: str) -> None:
        super().__init__("")
        self._field, self._noun = field, noun

    def render(self, task: Task) -> Text:
        """Return the number that a refresh has reached."""
        return Text(counted(task.fields[self._field], self._noun))


class _Rate(TextColumn):
    """Objects a second."""

    def render(self, task: Task) -> Text:
        """Return the rate of a refresh."""
        return Text("" if task.speed is None else f"{task.speed:.0f}/s")


def _line(run: Run, shown: _Shown, now: float) -> str:
    of = f" of about {run.expected}" if run.expected and run.expected >= run.objects else ""
    rate = (run.objects - shown.objects) / max(now - shown.began_at, 0.001)
    left = f", {(run.expected - run.objects) / rate:.0f} s left" if of and run.expected and rate > 0 else ""
    objects = f"{run.objects}{of} objects" if of else counted(run.objects, "object")
    return f"{run.resource}: {objects} in {counted(run.requests, 'request')}, {rate:.0f}/s{left}"
