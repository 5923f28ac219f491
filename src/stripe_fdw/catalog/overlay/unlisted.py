"""Tables of objects that Stripe lets one retrieve, but does not list: what the SDK's types do not show.

``from_sdk.unlisted`` makes such a table of each operation that retrieves an object which no list has. An
entry that does not fit the SDK makes the build fail.
"""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.catalog.model import Column, Holder, Kind

# Tables that the object's name would name otherwise: path → name.
SINGLE_NAMES = {
    # `account` has the connected accounts; the SDK calls this one the current one.
    "/v1/account": "current_account",
}


@dataclass(frozen=True)
class WrappedList:
    """An object that Stripe sends in events alone, and that a list has all of but for its own name."""

    list_path: str  # of the list that is the value of a column
    column: str
    module: str  # of the SDK's class
    class_name: str
    defaults: tuple[tuple[str, str], ...]


WRAPPED_LISTS = {
    # One request has up to 100 entitlements, which are as many as Stripe shows in the summary of an event.
    "entitlements_active_entitlement_summary": WrappedList(
        "/v1/entitlements/active_entitlements",
        "entitlements",
        "stripe.entitlements._active_entitlement_summary",
        "ActiveEntitlementSummary",
        (("limit", "100"),),
    )
}


@dataclass(frozen=True)
class HeldObject:
    """An object that Stripe shows inside others alone, or in lists with objects of other kinds."""

    module: str
    class_name: str
    holders: tuple[Holder, ...]


def _of_kind(kind: str) -> tuple[Holder, ...]:
    """Return the lists of a customer's and an account's objects of one kind."""
    parameters = (("object", kind), ("limit", "100"))
    return (
        Holder(
            "customer", "/v1/customers/{customer}/sources", "customer", "customer", True, "", "", parameters
        ),
        Holder(
            "account",
            "/v1/accounts/{account}/external_accounts",
            "account",
            "account",
            True,
            "",
            "",
            parameters,
        ),
    )


# Holders of the same column are read together. The first column that a query gives values for is taken.
HELD_OBJECTS = {
    "bank_account": HeldObject("stripe._bank_account", "BankAccount", _of_kind("bank_account")),
    "card": HeldObject("stripe._card", "Card", _of_kind("card")),
    # Those of a customer are its own, and those of its subscriptions, whose `customer` names it as well.
    "discount": HeldObject(
        "stripe._discount",
        "Discount",
        (
            Holder(
                "subscription",
                "/v1/subscriptions/{subscription}",
                "subscription",
                "subscription",
                field="discounts",
                expand="discounts",
            ),
            Holder(
                "customer",
                "/v1/customers/{customer}",
                "customer",
                "customer",
                field="discount",
                delete="/v1/customers/{customer}/discount",
            ),
            Holder(
                "customer",
                "/v1/subscriptions",
                "customer",
                "customer",
                is_list=True,
                field="discounts",
                expand="discounts",
                extra_parameters=(("status", "all"), ("limit", "100")),
            ),
        ),
    ),
}


@dataclass(frozen=True)
class SpecifiedObject:
    """An object of Stripe's specification that the SDK has no operation for."""

    retrieve: str  # the path
    update: bool  # POST of the same path takes metadata
    object: str
    area: str
    columns: tuple[Column, ...] = ()  # () where the SDK has the class
    module: str = ""
    class_name: str = ""


def _amounts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Kind.INTEGER, (name,), False) for name in names)


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Kind.TEXT, (name,), False) for name in names)


# https://github.com/stripe/openapi: spec3 has the operations, fixtures3 a sample of each object.
SPECIFIED_OBJECTS = {
    "issuing_settlement": SpecifiedObject(
        "/v1/issuing/settlements/{settlement}",
        update=True,
        object="issuing.settlement",
        area="issuing",
        columns=(
            *_texts("id", "object", "bin"),
            Column("clearing_date", Kind.TIME, ("clearing_date",), False),
            Column("created", Kind.TIME, ("created",), False),
            *_texts("currency"),
            *_amounts("interchange_fees_amount"),
            Column("livemode", Kind.BOOLEAN, ("livemode",), False),
            Column("metadata", Kind.JSON, ("metadata",), False),
            *_amounts("net_total_amount"),
            Column("network", Kind.TEXT, ("network",), False, values=("maestro", "mastercard", "visa")),
            *_amounts("network_fees_amount"),
            *_texts("network_settlement_identifier", "settlement_service"),
            Column("status", Kind.TEXT, ("status",), False, values=("complete", "pending")),
            *_amounts("transaction_amount", "transaction_count"),
        ),
    ),
    "source_mandate_notification": SpecifiedObject(
        "/v1/sources/{source}/mandate_notifications/{mandate_notification}",
        update=False,
        object="source_mandate_notification",
        area="payments",
        module="stripe._source_mandate_notification",
        class_name="SourceMandateNotification",
    ),
}

# Where ids of objects without a list lie, beside the columns that refer to them: table → SQL expressions.
IDS_IN: dict[str, tuple[str, ...]] = {
    "mandate": ("charge.payment_method_details -> (charge.payment_method_details ->> 'type') ->> 'mandate'",),
    "source": ("customer.default_source", "customer_source.id"),
    "tax_calculation": ("payment_intent.hooks #>> '{inputs,tax,calculation}'",),
    "tax_transaction": ("tax_association.tax_transaction_attempts #>> '{0,committed,transaction}'",),
}

_CREATED = "Stripe answers with it when it is created, and shows it never again"
_IN_EVENTS = "it is in events alone"
_RESERVES = "Stripe has no operation for reserves: they are in events alone"

# Objects that cannot be a table, by what the API calls them: the reason. All others of the SDK have one.
OBJECTS_WITHOUT_TABLE: dict[str, str] = {
    "account_link": _CREATED,
    "account_session": _CREATED,
    "application": "it is inside other objects, and Stripe retrieves none by its id",
    "billing.alert_triggered": _IN_EVENTS,
    "billing.meter_event": f"{_CREATED}; billing_meter_event_summary has the sums",
    "billing.meter_event_adjustment": _CREATED,
    "billing_portal.session": _CREATED,
    "connect_collection_transfer": "it is inside balance transactions alone",
    "customer_session": _CREATED,
    "ephemeral_key": _CREATED,
    "financial_connections.account_ownership": (
        "it is inside accounts; financial_connections_account_owner has the owners"
    ),
    "financial_connections.authorization": _IN_EVENTS,
    "funding_instructions": "a POST answers with them, and creates them where there are none",
    "login_link": _CREATED,
    "radar.payment_evaluation": _CREATED,
    "reserve.hold": _RESERVES,
    "reserve.plan": _RESERVES,
    "reserve.release": _RESERVES,
    "reserve_transaction": "it is inside balance transactions alone",
    "tax_deducted_at_source": "it is inside balance transactions alone",
    "terminal.connection_token": _CREATED,
    "terminal.onboarding_link": _CREATED,
}
