"""Generated objects of version 2 of the API: a few of each kind, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_simulator.types import Json
from stripe_simulator.world.account import PLATFORM, Account
from stripe_simulator.world.ids import IdCodec
from stripe_simulator.world.makers import sample_text

COUNT = 45  # of each kind: three pages of most lists
CHILDREN = 2  # inside each object of a parent
_SECONDS_APART = 3_600
_PREFIX = "obj_"  # of kinds whose ids the catalog does not know


def count_of(account: Account, name: str) -> int:
    """Return how many objects of a kind without a parent are generated: none in a connected account."""
    if account.id != PLATFORM:
        return 0
    return account.options.counts.get(name, min(COUNT, account.options.customers))


def rfc3339(seconds: float) -> str:
    """Return a time as version 2 of the API writes it: in UTC, with milliseconds."""
    time = datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identifier(account: Account, resource: Resource, number: int) -> str:
    """Return the id of the object of this number."""
    prefix = resource.id_prefix or _PREFIX
    return IdCodec(prefix, account.seed, account.id, resource.name).encode(number)


def sample(account: Account, resource: Resource, number: int, of: int) -> Json:
    """Return the generated object of this number, the newest of which is ``of - 1``."""
    # Times have milliseconds that are not zero, as Stripe's have.
    created = account.until - (of - number) * _SECONDS_APART + (number % 1000) / 1000
    new = blank(account, resource, number, created)
    for column in resource.columns:
        if column.path == (column.name,) and column.name in new and new[column.name] is None:
            new[column.name] = _nullable(column, number)
    for column in resource.columns:
        if column.path == (column.name,) and column.kind is Kind.TEXT and len(column.values) > 1:
            new[column.name] = column.values[number % len(column.values)]
    return new | _shape(resource.name, account, number)


def blank(account: Account, resource: Resource, number: int, created: float) -> Json:
    """Return a new object before its parameters: null where that is allowed."""
    new: Json = {"id": identifier(account, resource, number), "object": resource.object}
    for column in resource.columns:
        if column.path != (column.name,) or column.name == "id":
            continue
        if column.name == "livemode":
            new[column.name] = False
        elif column.name == "metadata":
            new[column.name] = {}
        elif column.name in ("created", "updated"):
            new[column.name] = rfc3339(created)
        elif column.nullable:
            new[column.name] = None
        else:
            new[column.name] = _required(column, number, created)
    return new | _shape(resource.name, account, number)


def _required(column: Column, number: int, created: float) -> Any:
    match column.kind:
        case Kind.TEXT:
            return column.values[0] if column.values else f"{column.name}_{number}"
        case Kind.BOOLEAN:
            return False
        case Kind.TIMESTAMP:
            return rfc3339(created)
        case Kind.REFERENCE:
            return f"{column.name}_{number}"
        case _:
            return {}


def _nullable(column: Column, number: int) -> Any:
    """Return the value of a nullable column in generated objects: of every fourth it is null."""
    if number % 4 == 3 or column.kind is not Kind.TEXT:
        return None
    return column.values[number % len(column.values)] if column.values else f"{column.name}_{number}"


def _shape(name: str, account: Account, number: int) -> Json:
    maker = _SHAPES.get(name)
    return maker(account, number) if maker else {}


def _money(value: int, currency: str = "usd") -> Json:
    return {"value": value, "currency": currency}


def _id_of(account: Account, name: str, number: int) -> str:
    return identifier(account, account.catalog.resource[name], number % max(1, count_of(account, name)))


def _account(_account: Account, number: int) -> Json:
    configured = ["customer", "merchant", "recipient"][: number % 3 + 1]
    return {
        "applied_configurations": configured,
        "configuration": {
            name: {"applied": name in configured, "capabilities": {}} if name in configured else None
            for name in ("customer", "merchant", "recipient")
        },
        "closed": number % 10 == 9,
        "contact_email": sample_text.email(number),
        "display_name": sample_text.name(number),
        "defaults": {"currency": "usd", "responsibilities": {"fees_collector": "stripe"}},
        "identity": {"country": "us", "entity_type": "company" if number % 2 else "individual"},
        "requirements": {"entries": [], "summary": None},
        "future_requirements": {"entries": []},
    }


def _person(_account: Account, number: int) -> Json:
    return {
        "given_name": sample_text.name(number).split(" ")[0],
        "surname": sample_text.name(number).split(" ")[-1],
        "email": sample_text.email(number),
        "relationship": {"owner": True, "percent_ownership": "12.5"},
    }


def _event_destination(_account: Account, number: int) -> Json:
    return {
        "name": f"Destination {number}",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v2.core.account.created"],
        "events_from": ["@self"],
        "webhook_endpoint": {"signing_secret": None, "url": f"https://example.com/hooks/{number}"},
        "status": "disabled" if number % 5 == 4 else "enabled",
    }


def _event(account: Account, number: int) -> Json:
    about = _id_of(account, "v2_core_account", number)
    return {
        "type": "v2.core.account.updated" if number % 3 else "v2.core.account.created",
        "context": None,
        "data": {},
        "reason": {"type": "request", "request": {"id": f"req_{number}", "idempotency_key": f"key_{number}"}},
        "related_object": {
            "id": about,
            "type": "v2.core.account",
            "url": f"/v2/core/accounts/{about}",
        },
    }


def _us_bank_account(_account: Account, number: int) -> Json:
    statuses = ("unverified", "awaiting_verification", "verified", "verification_failed")
    return {
        "last4": f"{number:04d}",
        "supported_currencies": ["usd"],
        "verification": {"status": statuses[number % 4]},
    }


def _financial_account(_account: Account, number: int) -> Json:
    return {
        "balance": {
            name: {"usd": _money(number * 100)}
            for name in ("available", "inbound_pending", "outbound_pending")
        },
        "country": "US",
        "status": ("open", "pending", "closed")[number % 3],
        "type": "storage",
        "storage": {
            "holds_currencies": ["usd"],
            "deposit_insurance_eligibility": {"usd": {"status": "eligible"}},
        },
    }


def _of_financial_account(account: Account, number: int) -> Json:
    return {"financial_account": _id_of(account, "v2_money_management_financial_account", number % 5)}


def _outbound_payment(account: Account, number: int) -> Json:
    return {
        "amount": _money(1_000 + number),
        "from": {**_of_financial_account(account, number), "debited": _money(1_000 + number)},
        "to": {
            "recipient": _id_of(account, "v2_core_account", number % 3),
            "payout_method": f"usba_{number}",
            "credited": _money(1_000 + number),
        },
        "recipient_notification": {"setting": "configured"},
        "cancelable": number % 5 == 3,
    }


def _transaction(account: Account, number: int) -> Json:
    payment = _id_of(account, "v2_money_management_outbound_payment", number)
    impact = {name: _money(0) for name in ("inbound_pending", "outbound_pending")}
    return {
        **_of_financial_account(account, number),
        "amount": _money(-1_000 - number),
        "balance_impact": {"available": _money(-1_000 - number), **impact},
        "category": "outbound_payment",
        "flow": {"type": "outbound_payment", "outbound_payment": payment},
        "regulatory_receipt": {"status": "not_applicable", "url": None},
        "status_transitions": {"posted_at": None, "void_at": None},
    }


def _transaction_entry(account: Account, number: int) -> Json:
    return {
        "transaction": _id_of(account, "v2_money_management_transaction", number),
        "balance_impact": {"available": _money(-1_000 - number)},
        "transaction_details": {"category": "outbound_payment", "amount": _money(-1_000 - number)},
    }


def _adjustment(account: Account, number: int) -> Json:
    payment = _id_of(account, "v2_money_management_outbound_payment", number)
    return {
        **_of_financial_account(account, number),
        "amount": _money(250 + number),
        "adjusted_flow": {"type": "outbound_payment", "outbound_payment": payment},
    }


def _received_credit(account: Account, number: int) -> Json:
    return {
        **_of_financial_account(account, number),
        "amount": _money(5_000 + number),
        "amount_received": _money(5_000 + number),
    }


def _inbound_transfer(account: Account, number: int) -> Json:
    return {
        "amount": _money(9_000 + number),
        "from": {"payment_method": {"type": "us_bank_account"}, "debited": _money(9_000 + number)},
        "to": {**_of_financial_account(account, number), "credited": _money(9_000 + number)},
        "transfer_history": [],
    }


def _payout_intent(account: Account, number: int) -> Json:
    return {
        "amount": _money(700 + number),
        "from": {**_of_financial_account(account, number), "currency": "usd"},
        "to": {"recipient": _id_of(account, "v2_core_account", number), "currency": "usd"},
    }


def _payout_method(_account: Account, number: int) -> Json:
    return {
        "usage_status": {
            "payments": ("eligible", "requires_action", "invalid")[number % 3],
            "transfers": "eligible",
        }
    }


_SHAPES: Mapping[str, Callable[[Account, int], Json]] = {
    "v2_commerce_product_catalog_import": lambda _account, _number: {"mode": "upsert"},
    "v2_core_account": _account,
    "v2_core_account_person": _person,
    "v2_core_event": _event,
    "v2_core_event_destination": _event_destination,
    "v2_core_vault_gb_bank_account": lambda _account, number: {
        "last4": f"{number:04d}",
        "supported_currencies": ["gbp"],
    },
    "v2_core_vault_us_bank_account": _us_bank_account,
    "v2_money_management_adjustment": _adjustment,
    "v2_money_management_financial_account": _financial_account,
    "v2_money_management_financial_address": _of_financial_account,
    "v2_money_management_inbound_transfer": _inbound_transfer,
    "v2_money_management_outbound_payment": _outbound_payment,
    "v2_money_management_payout_intent": _payout_intent,
    "v2_money_management_payout_method": _payout_method,
    "v2_money_management_received_credit": _received_credit,
    "v2_money_management_transaction": _transaction,
    "v2_money_management_transaction_entry": _transaction_entry,
}
