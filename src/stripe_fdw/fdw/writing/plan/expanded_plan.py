"""The plan of a written row whose answer is used: it asks for what Stripe does not send otherwise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import msgspec.structs

from stripe_fdw.api.expand import with_expansions
from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.planning.expansions import expansions
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan


def expanded_plan(resource: Resource, plan: RowPlan, answered: Collection[str]) -> RowPlan:
    """Return the plan with requests that bring the values of the columns that will be used.

    The last request expands the object that it answers with. Where it answers with another, which has no such
    fields, the object is retrieved afterwards; so it is where nothing is sent, or where only a retrieve
    brings a value.

    Args:
        resource: the resource of the object.
        plan: the plan of its row.
        answered: the columns; none where no answer is used.
    """
    wanted = expansions(resource, answered)
    if not wanted.of_objects:
        return plan
    plan = replace(plan, expanded=wanted.of_objects)
    last = plan.requests[-1] if plan.requests else None
    if resource.retrieve is not None and (
        last is None
        or not last.answers_object
        or (wanted.of_lists != wanted.of_objects and not resource.is_version_2)
    ):
        return replace(plan, reads_answer=True)
    if last is None or not last.answers_object:
        return plan
    # What a write of version 2 of the API includes is what a retrieve does.
    paths = wanted.of_objects if resource.is_version_2 else wanted.of_lists
    request = with_expansions(last.request, paths)
    return replace(plan, requests=(*plan.requests[:-1], msgspec.structs.replace(last, request=request)))
