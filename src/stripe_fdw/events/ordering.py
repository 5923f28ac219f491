"""The order of events about one object, by the time of each and the state that each began from.

Times have a resolution of a second. Within one, an event follows upon the one whose state it names as the
state before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from stripe_fdw.events.effects import State
from stripe_fdw.events.event import Event

_SAME_TIME: Final = timedelta(seconds=2)  # as between two states that are applied one after the other


@dataclass(frozen=True, slots=True)
class Latest:
    """The event that came last, its state, and the state before the events that lead to it one by one."""

    event: Event
    state: State
    before: dict[str, Any] | None
    is_sure: bool  # False if another event of nearly the same time may have come later


def latest(told: Sequence[tuple[Event, State]]) -> Latest:
    """Return the last state of one object that events report.

    Args:
        told: at least one event, in any order.
    """
    if len(told) == 1:
        ((event, state),) = told
        return Latest(event, state, state.before, is_sure=True)
    ends = max(event.created for event, _ in told)
    close = _distinct([(event, state) for event, state in told if event.created >= ends - _SAME_TIME])
    last = [
        (event, state)
        for event, state in close
        if not any(other.before == state.item for _, other in close if other is not state)
    ]
    event, state = max(last or close, key=_rank)
    before, rest = state.before, [pair for pair in close if pair[1] is not state]
    while before is not None:
        previous = next((pair for pair in rest if pair[1].item == before), None)
        if previous is None or previous[1].before is None:
            rest = [pair for pair in rest if pair is not previous]
            break
        rest.remove(previous)
        before = previous[1].before
    return Latest(event, state, before, is_sure=not rest and (len(last) == 1 or len(close) == 1))


def _distinct(told: Sequence[tuple[Event, State]]) -> list[tuple[Event, State]]:
    """Return one event for each state: Stripe sends several of some changes, as when an invoice is paid.

    Of these, the one that names the state before is kept.
    """
    kept: list[tuple[Event, State]] = []
    for event, state in sorted(told, key=lambda pair: pair[1].before is None):
        same = [
            other
            for _, other in kept
            if other.item == state.item and (state.before is None or state.before == other.before)
        ]
        if not same:
            kept.append((event, state))
    return kept


def _rank(pair: tuple[Event, State]) -> tuple[Any, ...]:
    """Return what decides between events whose order is not known."""
    event, state = pair
    is_final = state.item.get("status") in state.resource.final_states
    return event.created, not event.type.endswith(".created"), is_final, state.is_deletion, event.id
