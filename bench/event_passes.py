"""What a pass of events has taken: seconds, and processor time by process."""

from __future__ import annotations

from dataclasses import dataclass

from bench.processes import children, processor_seconds
from bench.stack import Bench


@dataclass(frozen=True)
class Pass:
    """Events that were sent as fast as possible: how many in a second, and the processor time of each."""

    count: int
    seconds: float
    processor: dict[str, float]  # seconds of each process

    @property
    def rate(self) -> float:
        """Events from POST to applied, in a second."""
        return self.count / self.seconds

    @property
    def milliseconds(self) -> float:
        """Processor time of an event, of all processes together."""
        return sum(self.processor.values()) / self.count * 1000

    @property
    def applier_limit(self) -> float:
        """Events a second that the worker could apply: it and its backend work in turn."""
        return self.count / sum(spent for name, spent in self.processor.items() if "worker" in name)

    @property
    def parts(self) -> str:
        """The processor time of an event by process, and how much of a core each has taken."""
        return ", ".join(
            f"{name} {spent / self.count * 1000:.2f} ms ({spent / self.seconds:.0%} of a core)"
            for name, spent in self.processor.items()
        )


class Backends:
    """The processes of the Postgres server, by what connects to them, but for those that end meanwhile."""

    def __init__(self, bench: Bench) -> None:
        pid = bench.stack.cluster.pid()
        if pid is None:
            raise RuntimeError("Postgres does not run")
        self._bench, self._pid = bench, pid
        self._before = {child: processor_seconds(child) for child in children(pid)}

    def used(self) -> dict[str, float]:
        """Return the processor time that they have used since, in seconds."""
        with self._bench.connect() as connection:
            names: dict[int, str] = dict(
                connection.execute(
                    "select pid, application_name from pg_stat_activity where datname is not null"
                )
            )
        found: dict[str, float] = {}
        for child in children(self._pid):
            name = f"Postgres for the {names[child]}" if names.get(child) else "Postgres in the background"
            found[name] = found.get(name, 0) + processor_seconds(child) - self._before.get(child, 0)
        return {name: seconds for name, seconds in found.items() if seconds >= 0.05}
