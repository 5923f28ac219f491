"""How the refreshes of one command ended, as a line for people and as a value for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from stripe_fdw.copies.refresh_run import summary
from stripe_fdw.copies.runs import Ending, Run
from stripe_fdw.counts import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOutcome:
    """How the refresh of one resource ended. A count is None where this process did not count."""

    resource: str
    line: str  # the outcome as text
    objects: int | None = None  # that Stripe listed
    requests: int | None = None
    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None
    stale: int | None = None  # older than their rows
    comes_with: str | None = None  # the resource whose refresh brought the objects, as they are in its lists
    elsewhere: bool = False  # another process refreshed it
    left_out: str | None = None  # why it cannot be read with this key
    error: str | None = None

    def description(self) -> dict[str, Any]:
        """Return the outcome for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "line"}


def refreshed(run: Run) -> RefreshOutcome:
    """Return the outcome of a run that this process has finished."""
    return RefreshOutcome(
        resource=run.resource,
        line=summary(run),
        objects=run.objects,
        requests=run.requests,
        inserted=run.applied.inserted,
        updated=run.applied.updated,
        deleted=run.applied.deleted,
        stale=run.applied.stale,
    )


def left_out(resource: str, reason: str) -> RefreshOutcome:
    """Return the outcome of a resource that cannot be read with this key."""
    return RefreshOutcome(resource=resource, line=f"is left out: {reason}", left_out=reason)


def failed(resource: str, error: str) -> RefreshOutcome:
    """Return the outcome of a refresh that failed."""
    return RefreshOutcome(resource=resource, line="failed", error=error)


def ended_elsewhere(resource: str, ending: Ending) -> RefreshOutcome:
    """Return the outcome of a refresh by another process, which was waited for."""
    if ending.error is not None:
        line = f"failed in another process: {ending.error}"
        return RefreshOutcome(resource=resource, line=line, elsewhere=True, error=ending.error)
    line = f"another process has refreshed it: {counted(ending.objects, 'object')}"
    return RefreshOutcome(resource=resource, line=line, objects=ending.objects, elsewhere=True)


def came_with(resource: str, parent: str, ending: Ending | None) -> RefreshOutcome:
    """Return the outcome of a resource whose objects are in the lists of ``parent``."""
    if ending is None:
        return RefreshOutcome(resource=resource, line=f"comes with {parent}", comes_with=parent)
    verb = "comes" if ending.objects == 1 else "come"
    line = f"{counted(ending.objects, 'object')}, which {verb} with {parent}"
    return RefreshOutcome(resource=resource, line=line, objects=ending.objects, comes_with=parent)
