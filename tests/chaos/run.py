"""A run: steps of change and disturbance, then the end in which everything has to agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from chaos.checks import differences, history, logged, outcomes, wait_for_events, wait_until_quiet
from chaos.disturbances import Disturbances
from chaos.materialized_views import make_views, stale_views
from chaos.sql_writes import SqlWrites
from chaos.stripe_changes import StripeChanges
from chaos.system import System
from stripe_fdw.catalog import load

_SHOWN = 200
_EXPLAINED = 10  # differences whose objects' history is shown


@dataclass(slots=True)
class Result:
    """What a run did and found."""

    seed: int
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return seed, counts and what is wrong, a line each."""
        lines = [f"seed {self.seed}, {self.seconds:.0f} s"]
        for title, counts in self.counts.items():
            told = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
            lines.append(f"  {title}: {told or 'none'}")
        lines += [f"  WRONG {line}" for line in self.wrong[:_SHOWN]]
        if len(self.wrong) > _SHOWN:
            lines.append(f"  and {len(self.wrong) - _SHOWN} more")
        return "\n".join(lines)


def run(
    directory: Path, seed: int, changes: int, copies: Sequence[str], say: Callable[[str], object]
) -> Result:
    """Make changes while everything fails, then compare all with Stripe.

    Args:
        directory: an empty folder for Postgres and logs.
        seed: determines the changes and the disturbances.
        changes: how many changes to make at Stripe.
        copies: tables to copy, or ``["all"]``.
        say: called with a line about each phase.
    """
    result = Result(seed)
    started = time.monotonic()
    system = System(directory, copies, seed)
    try:
        at_stripe = StripeChanges(system.simulator.url, seed)
        at_stripe.prepare()
        system.refresh()
        make_views(system)
        say(f"seed {seed}: {changes} changes, copies are filled")
        disturbances = Disturbances(system, seed)
        through_views = SqlWrites(system.dsn, seed, lambda: disturbances.reads_lag)
        through_views.start()
        try:
            for step in range(changes):
                disturbances.at(step)
                at_stripe.make(step)
        finally:
            through_views.stop()
        disturbances.end()
        system.end_refresh()
        say(f"changes are made after {time.monotonic() - started:.0f} s; waiting for the last events")
        result.wrong += through_views.wrong
        names = [resource.name for resource in load().resources] if "all" in copies else list(copies)
        found: list[str] = []
        try:
            wait_for_events(system)
            found += differences(system, names, by_events=True)
            result.wrong += [f"after stripe_sync.wait: {line}" for line in found]
            wait_until_quiet(system)
        except (AssertionError, psycopg.Error) as error:
            result.wrong.append(str(error))
        counted, wrong = outcomes(system)
        result.wrong += wrong
        found += differences(system, names)
        result.wrong += found
        result.wrong += stale_views(system)
        for name, key in dict.fromkeys(
            tuple(line.replace(",", "").split()[:2]) for line in found[:_EXPLAINED]
        ):
            result.wrong += [f"{name} {key} has this history:", *history(system, name, key)]
        try:
            system.command("verify")
        except AssertionError as error:
            result.wrong.append(str(error))
        result.wrong += logged(system)
        result.counts = {
            "changes": dict(at_stripe.made),
            "disturbances": dict(disturbances.done),
            "transactions": dict(through_views.outcomes),
            "events": dict(counted),
        }
        lost = result.counts["transactions"].pop("error 40P01", 0)
        result.wrong += [f"{lost} transactions met a deadlock"] if lost else []
    finally:
        system.close()
    result.seconds = time.monotonic() - started
    return result
