"""Two resources by hand, until the catalog's built file is there."""

from __future__ import annotations

from stripe_fdw.catalog.model import Catalog, Column, Filter, Kind, Operation, Resource

_T, _I, _B, _AT, _R, _J = Kind.TEXT, Kind.INTEGER, Kind.BOOLEAN, Kind.TIME, Kind.REFERENCE, Kind.JSON
_STATUS = ("active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid")  # fmt: skip  # noqa: E501


def _columns(**kinds: Kind) -> tuple[Column, ...]:
    never_null = {"id", "object", "livemode", "created", "metadata", "items", "status"}
    refs = {"customer": ("customer",)}
    return tuple(
        Column(name, kind, (name,), nullable=name not in never_null, references=refs.get(name, ()))
        for name, kind in kinds.items()
    )


_CUSTOMER = Resource(
    "customer", "customer", "core", "/v1/customers",
    _columns(id=_T, object=_T, address=_J, balance=_I, created=_AT, currency=_T, default_source=_R, delinquent=_B,
             description=_T, discount=_J, email=_T, invoice_prefix=_T, invoice_settings=_J, livemode=_B, metadata=_J,
             name=_T, next_invoice_sequence=_I, phone=_T, preferred_locales=_J, shipping=_J, tax_exempt=_T,
             test_clock=_R),
    (Filter("created", "created", range=True), Filter("email", "email"), Filter("test_clock", "test_clock")),
    retrieve=Operation("retrieve", "GET", "/v1/customers/{customer}"), id_prefix="cus_",
)  # fmt: skip
_SUBSCRIPTION = Resource(
    "subscription", "subscription", "billing", "/v1/subscriptions",
    _columns(id=_T, object=_T, application=_R, automatic_tax=_J, billing_cycle_anchor=_AT, cancel_at=_AT,
             cancel_at_period_end=_B, canceled_at=_AT, collection_method=_T, created=_AT, currency=_T, customer=_R,
             description=_T, ended_at=_AT, items=_J, livemode=_B, metadata=_J, start_date=_AT, status=_T,
             trial_end=_AT, trial_start=_AT),
    (Filter("created", "created", range=True), Filter("customer", "customer"),
     Filter("status", "status", values=_STATUS), Filter("collection_method", "collection_method")),
    defaults=(("status", "all"),),
    retrieve=Operation("retrieve", "GET", "/v1/subscriptions/{subscription_exposed_id}"), id_prefix="sub_",
)  # fmt: skip


def load() -> Catalog:
    """A catalog of two resources."""
    return Catalog("2026-10-28.endive", "16.1.0", (_CUSTOMER, _SUBSCRIPTION), (), ())
