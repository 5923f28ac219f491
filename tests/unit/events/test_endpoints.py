"""Which events an endpoint at Stripe is to send."""

from __future__ import annotations

from stripe_fdw.catalog import load
from stripe_fdw.events.webhook_endpoints import received_event_types


def test_an_endpoint_sends_what_changes_copies_and_nothing_else() -> None:
    received = received_event_types(load())
    of_tables = {name for resource in load().resources if resource.is_listed for name in resource.events}
    touching = {
        "cash_balance.funds_available",
        "customer.discount.created",
        "customer.discount.deleted",
        "customer.discount.updated",
        "entitlements.active_entitlement_summary.updated",
    }
    assert set(received) == (of_tables | touching) - {"issuing_authorization.request"}
    assert list(received) == sorted(set(received) & set(load().event_types))
