"""Fields of mandates, which allow debits of a bank account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator.world.fields import Field, Fields, constant

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.generator import Generator


def _details(index: int) -> Json:
    if index % 2:
        return {"type": "us_bank_account", "us_bank_account": {"collection_method": None}}
    reference = f"{index:016X}"
    url = f"https://hooks.stripe.com/adapter/sepa_debit/file/{reference}"
    return {"type": "sepa_debit", "sepa_debit": {"reference": reference, "url": url}}


def _mandate(generator: Generator) -> Fields:
    created = generator.population.created

    def acceptance(index: int) -> Json:
        online = {"ip_address": f"203.0.113.{index % 254 + 1}", "user_agent": "Mozilla/5.0"}
        return {"accepted_at": created(index), "online": online, "type": "online"}

    return {
        "customer_acceptance": Field(acceptance),
        "multi_use": Field(lambda _: {}),
        "on_behalf_of": constant(None),
        "payment_method_details": Field(_details),
        "single_use": constant(None),
        "status": generator.choice("status", {"active": 8, "inactive": 2, "pending": 1}),
        "type": constant("multi_use"),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {"mandate": _mandate}
