"""Calculations of tax, the transactions that they become, and what associates them with payments.

No tax is collected: the account is registered nowhere, which Stripe answers with a tax of 0 and this reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.read import list_objects, object_response
from stripe_simulator.objects.related import get_referenced
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.objects.unlisted import retrieve_unlisted, store_unlisted
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.pagination import limit_of
from stripe_simulator.world.embedded import embedded_list

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_EXPIRES_AFTER = 90 * 86_400  # seconds
_DEFAULT_TAX_CODE = "txcd_10000000"
_SHIPPING_TAX_CODE = "txcd_92010001"


def calculate(request: ApiRequest) -> ApiResponse:
    """Answer POST /v1/tax/calculations."""
    params = validate_route_parameters(request)
    if params.get("customer"):
        get_referenced(request, "customer", params["customer"], "customer")
    elif not params.get("customer_details"):
        raise errors.missing_parameter("customer_details")
    if not params.get("line_items"):
        raise errors.missing_parameter("line_items")
    shipping = _shipping(params.get("shipping_cost"))
    lines = [_line(index, line) for index, line in enumerate(params["line_items"])]
    total = sum(line["amount"] for line in lines) + (shipping["amount"] if shipping else 0)
    values: Json = {
        "amount_total": total,
        "currency": params["currency"],
        "customer": params.get("customer"),
        "customer_details": _customer_details(params.get("customer_details") or {}),
        "expires_at": unix_now() + _EXPIRES_AFTER,
        "line_items": lines,
        "ship_from_details": params.get("ship_from_details"),
        "shipping_cost": shipping,
        "tax_amount_exclusive": 0,
        "tax_amount_inclusive": 0,
        "tax_breakdown": [_breakdown(total)],
        "tax_date": params.get("tax_date") or unix_now(),
    }
    stored = store_unlisted(request, "taxcalc_", "tax.calculation", values)
    del stored["created"]  # it has none
    _store_lines(request, stored, lines, "calculation")
    return object_response(request, stored)


def commit(request: ApiRequest) -> ApiResponse:
    """Answer POST /v1/tax/transactions/create_from_calculation."""
    params = validate_route_parameters(request)
    calculation = _stored(request, params["calculation"], "tax.calculation", "calculation")
    if any(
        stored["object"] == "tax.transaction" and stored["reference"] == params["reference"]
        for stored in request.account.unlisted.values()
    ):
        raise StripeError(
            f"There is already a tax transaction with the reference {params['reference']}.", param="reference"
        )
    copied = ("currency", "customer", "customer_details", "ship_from_details", "shipping_cost", "tax_date")
    values: Json = {
        **{name: calculation[name] for name in copied},
        "metadata": dict(params.get("metadata") or {}),
        "posted_at": params.get("posted_at") or unix_now(),
        "reference": params["reference"],
        "reversal": None,
        "type": "transaction",
    }
    return _transaction(request, values, _lines_of(request, calculation["id"]))


def reverse(request: ApiRequest) -> ApiResponse:
    """Answer POST /v1/tax/transactions/create_reversal."""
    params = validate_route_parameters(request)
    original = _stored(request, params["original_transaction"], "tax.transaction", "original_transaction")
    if params["mode"] == "full":
        lines = [{**line, "amount": -line["amount"]} for line in _lines_of(request, original["id"])]
    else:
        amount = params.get("flat_amount")
        if amount is None:
            raise errors.missing_parameter("flat_amount")
        lines = [{**_lines_of(request, original["id"])[0], "amount": amount}]
    copied = ("currency", "customer", "customer_details", "ship_from_details", "shipping_cost", "tax_date")
    values: Json = {
        **{name: original[name] for name in copied},
        "metadata": dict(params.get("metadata") or {}),
        "posted_at": unix_now(),
        "reference": params["reference"],
        "reversal": {"original_transaction": original["id"]},
        "type": "reversal",
    }
    return _transaction(request, values, lines)


def find_association(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/tax/associations/find: of a payment intent that names a calculation."""
    identifier = request.params.get("payment_intent")
    if not isinstance(identifier, str) or not identifier:
        raise errors.missing_parameter("payment_intent")
    intent = get_referenced(request, "payment_intent", identifier, "payment_intent", status=404)
    tax = ((intent.get("hooks") or {}).get("inputs") or {}).get("tax") or {}
    calculation = tax.get("calculation")
    if not calculation:
        raise errors.no_object("tax association", identifier, "payment_intent")
    association: Json = {
        "id": f"taxa_{identifier.partition('_')[2]}",
        "object": "tax.association",
        "calculation": calculation,
        "payment_intent": identifier,
        "tax_transaction_attempts": None,
    }
    return object_response(request, association)


def _transaction(request: ApiRequest, values: Json, lines: list[Json]) -> ApiResponse:
    stored = store_unlisted(request, "tax_", "tax.transaction", values)
    _store_lines(request, stored, lines, "transaction")
    return object_response(request, stored)


def _stored(request: ApiRequest, identifier: str, object_type: str, param: str) -> Json:
    stored = request.account.unlisted.get(identifier)
    if stored is None or stored["object"] != object_type:
        raise errors.no_object(object_type, identifier, param, status=400)
    return stored


def _line(index: int, sent: Json) -> Json:
    return {
        "amount": sent["amount"],
        "amount_tax": 0,
        "livemode": False,
        "metadata": sent.get("metadata"),
        "product": sent.get("product"),
        "quantity": sent.get("quantity") or 1,
        "reference": sent.get("reference") or f"L{index + 1}",
        "tax_behavior": sent.get("tax_behavior") or "exclusive",
        "tax_code": sent.get("tax_code") or _DEFAULT_TAX_CODE,
    }


def list_lines(request: ApiRequest) -> ApiResponse:
    """Answer GET …/line_items: those that were sent, or generated ones where nothing was."""
    if request.ids[0] not in request.account.unlisted:
        return list_objects(request)
    lines = _lines_of(request, request.ids[0])
    after, limit = request.params.get("starting_after"), limit_of(request.params)
    start = next((at + 1 for at, line in enumerate(lines) if line["id"] == after), 0)
    page = {
        "object": "list",
        "data": lines[start : start + limit],
        "has_more": len(lines) > start + limit,
        "url": request.path,
    }
    return object_response(request, page)


def _lines_of(request: ApiRequest, identifier: str) -> list[Json]:
    lines: list[Json] = request.account.unlisted[f"lines of {identifier}"]["data"]
    return lines


def _store_lines(request: ApiRequest, stored: Json, lines: list[Json], kind: str) -> None:
    """Store all lines, and the first of them in the object."""
    number = stored["id"].rpartition("_")[2]
    named = [
        {**line, "id": f"tax_li_{number}{index}", "object": f"tax.{kind}_line_item"}
        for index, line in enumerate(lines)
    ]
    request.account.unlisted[f"lines of {stored['id']}"] = {"object": "list", "data": named}
    stored["line_items"] = embedded_list(named, f"/v1/tax/{kind}s/{stored['id']}/line_items")


def _shipping(sent: Json | None) -> Json | None:
    if sent is None:
        return None
    return {
        "amount": sent.get("amount") or 0,
        "amount_tax": 0,
        "tax_behavior": sent.get("tax_behavior") or "exclusive",
        "tax_code": sent.get("tax_code") or _SHIPPING_TAX_CODE,
    }


def _customer_details(sent: Json) -> Json:
    empty: Json = {"address": None, "address_source": None, "ip_address": None, "tax_ids": []}
    return empty | {"taxability_override": "none"} | sent


def _breakdown(taxable: int) -> Json:
    return {
        "amount": 0,
        "inclusive": False,
        "tax_rate_details": {
            "country": None, "flat_amount": None, "percentage_decimal": "0.0", "rate_type": None,
            "state": None, "tax_type": None,
        },
        "taxability_reason": "not_collecting",
        "taxable_amount": taxable,
    }  # fmt: skip


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/tax/calculations"): calculate,
        ("GET", "/v1/tax/calculations/{calculation}"): retrieve_unlisted("tax.calculation"),
        ("GET", "/v1/tax/calculations/{calculation}/line_items"): list_lines,
        ("GET", "/v1/tax/transactions/{transaction}/line_items"): list_lines,
        ("POST", "/v1/tax/transactions/create_from_calculation"): commit,
        ("POST", "/v1/tax/transactions/create_reversal"): reverse,
        ("GET", "/v1/tax/transactions/{transaction}"): retrieve_unlisted("tax.transaction"),
        ("GET", "/v1/tax/associations/find"): find_association,
    },
)
