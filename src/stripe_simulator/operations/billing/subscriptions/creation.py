"""How a subscription begins: items, trial, anchor, first invoice, status."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.related import get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import price_amount
from stripe_simulator.operations.billing.invoices import charging, invoice_payments, lines
from stripe_simulator.operations.billing.invoices.invoice_items import pending_items
from stripe_simulator.operations.billing.periods import add_intervals, billing_interval, next_period_end
from stripe_simulator.operations.billing.requested_prices import requested_price
from stripe_simulator.operations.billing.subscriptions import invoicing, items
from stripe_simulator.operations.billing.subscriptions.prorations import prorated_amount
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.operations.billing.subscriptions.items import RequestedItem
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400
_FUTURE = "Invalid timestamp: must be an integer Unix timestamp in the future."


def create(context: OperationContext) -> None:
    """POST of a new subscription."""
    start_subscription(context.request, context.object, context.params)


def start_subscription(request: ApiRequest, made: Json, params: Json) -> None:
    """Make a blank subscription what the parameters ask for: written, but for its event.

    Raises StripeError before anything is written.
    """
    customer = get_referenced_copy(request, "customer", params["customer"], "customer")
    now = test_clocks.now(request, {"customer": customer["id"]})
    billing_mode = str((params.get("billing_mode") or {}).get("type") or "flexible")
    asked = items.requested_items(request, params["items"], params.get("currency"), billing_mode)
    currency = asked[0].price["currency"]
    once = _one_time_items(request, params, currency)
    trial_end = _trial_end(params, asked, now)
    check_collection_method(made, params)
    invoice_payments.check_payment_method(
        request, params.get("default_payment_method"), customer["id"], "default_payment_method"
    )
    owner = {"customer": customer["id"], "currency": currency}
    discounts.check_discounts(request, params.get("discounts"), owner)
    interval = asked[0].interval
    begin = int(params.get("backdate_start_date") or now)
    anchor = trial_end or _requested_anchor(params, begin, interval) or begin
    end = trial_end or (anchor if anchor > begin else None)
    # Validated: nothing has been written so far but prices that were described.
    due = _estimate_first_amount(request, params, asked, once, customer, (now, end, trial_end))
    _check_payable(request, made, params, customer, due)
    made |= _initial_values(made, params, customer, now, billing_mode)
    made |= {
        "billing_cycle_anchor": anchor,
        "currency": currency,
        "start_date": begin,
        "status": "trialing" if trial_end else "active",
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
    }
    save(request, "subscription", made)
    for one in asked:
        period_end = end or next_period_end(anchor, now, one.interval)
        items.add_item(request, made, one, (begin if end or begin == now else now, period_end))
    items.embed_items(request, made)
    set_cancellation(made, params, now)
    made["discounts"] = discounts.apply_discounts(request, params.get("discounts"), made, "subscription")
    _first_invoice(request, made, params, once, end if trial_end is None else None)


def _initial_values(made: Json, params: Json, customer: Json, now: int, billing_mode: str) -> Json:
    usual: Json = {"payment_method_options": None, "payment_method_types": None}
    usual["save_default_payment_method"] = "off"
    flexible = {"proration_discounts": "included"} if billing_mode == "flexible" else None
    ending = {"end_behavior": {"missing_payment_method": "create_invoice"}}
    return {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None}
        | dict(params.get("automatic_tax") or {}),
        "billing_mode": {"flexible": flexible, "type": billing_mode, "updated_at": now},
        "billing_schedules": [],
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "created": now,
        "customer": customer["id"],
        "default_payment_method": params.get("default_payment_method"),
        "default_tax_rates": list(params.get("default_tax_rates") or ()),
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}}
        | dict(params.get("invoice_settings") or {}),
        "livemode": False,
        "metadata": made.get("metadata") or {},
        "payment_settings": usual | dict(params.get("payment_settings") or {}),
        "status_details": None,
        "test_clock": customer.get("test_clock"),
        "trial_settings": ending | dict(params.get("trial_settings") or {}),
    }


def check_collection_method(made: Json, params: Json) -> None:
    """Raises StripeError where an invoice to be sent has no term, or one to be charged has."""
    sends = params.get("collection_method", made["collection_method"]) == "send_invoice"
    if sends and params.get("days_until_due", made.get("days_until_due")) is None:
        raise StripeError(
            "If subscription `collection_method` is `send_invoice`, you must specify `days_until_due`.",
            param="days_until_due",
        )
    if not sends and params.get("days_until_due") is not None:
        raise StripeError(
            "You can only specify `days_until_due` if subscription `collection_method` is `send_invoice`.",
            param="days_until_due",
        )


def _trial_end(params: Json, asked: list[RequestedItem], now: int) -> int | None:
    """When the trial ends; None without one."""
    given = [name for name in ("trial_end", "trial_period_days") if params.get(name) is not None]
    if len(given) > 1:
        raise StripeError(
            "You may only specify one of these parameters: trial_end, trial_period_days.", param="trial_end"
        )
    end = params.get("trial_end")
    if end == "now":
        return None
    if end is not None:
        return require_future_time(end, now, "trial_end")
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan"):
        days = (asked[0].price.get("recurring") or {}).get("trial_period_days")
    if days is None:
        return None
    if int(days) < 0:
        raise StripeError(
            "This value must be greater than or equal to 0.",
            code="parameter_invalid_integer",
            param="trial_period_days",
        )
    return now + int(days) * _DAY if int(days) else None


def require_future_time(value: Any, now: int, param: str) -> int:
    """A time that has not come yet."""
    try:
        moment = int(value)
    except (TypeError, ValueError):
        raise errors.not_an_integer(param, str(value)) from None
    if moment <= now:
        raise StripeError(_FUTURE, param=param)
    return moment


def _requested_anchor(params: Json, now: int, interval: tuple[str, int]) -> int | None:
    """The anchor that was asked for: at most one period ahead."""
    sent = params.get("billing_cycle_anchor")
    if sent is None or sent == "now":
        return None
    anchor = require_future_time(sent, now, "billing_cycle_anchor")
    natural = add_intervals(now, interval)
    if anchor > natural:
        raise StripeError(
            f"`billing_cycle_anchor` cannot be later than next natural billing date ({natural}) for plan",
            param="billing_cycle_anchor",
        )
    return anchor


def _one_time_items(request: ApiRequest, params: Json, currency: str) -> list[tuple[Json, int, Json]]:
    """Prices that are only on the first invoice, with quantities."""
    sent = params.get("add_invoice_items")
    found = []
    for param, one in items.indexed_parameters(sent, "add_invoice_items") if sent else ():
        price = requested_price(request, one, param, recurring=False, currency=currency)
        found.append((price, items.parse_quantity(one.get("quantity") or 1, param), one))
    return found


def _estimate_first_amount(
    request: ApiRequest,
    params: Json,
    asked: list[RequestedItem],
    once: list[tuple[Json, int, Json]],
    customer: Json,
    times: tuple[int, int | None, int | None],
) -> int:
    """About what the first invoice comes to: enough to know whether there is anything to pay."""
    now, end, trial_end = times
    total = sum(price_amount(price, quantity) for price, quantity, _ in once)
    total += sum(
        item["amount"] for item in pending_items(request, customer["id"], asked[0].price["currency"], None)
    )
    for one in asked if trial_end is None else ():
        if end is None:
            total += price_amount(one.price, one.quantity or 0)
        elif params.get("proration_behavior") != "none":
            natural = end - add_intervals(now, one.interval)
            total += prorated_amount(one.price, one.quantity, (now + natural, end), now)
    for one in params.get("discounts") or ():
        total = _subtract_discount(request, one, total)
    return max(0, total + int(customer.get("balance") or 0))


def _subtract_discount(request: ApiRequest, sent: Json, total: int) -> int:
    identifier = sent.get("coupon")
    if sent.get("promotion_code"):
        identifier = get_referenced_copy(request, "promotion_code", sent["promotion_code"], "discounts")[
            "promotion"
        ]["coupon"]
    if sent.get("discount"):
        identifier = request.account.discounts[sent["discount"]]["source"]["coupon"]
    coupon = get_or_none(request, "coupon", identifier)
    if coupon is None:
        return total
    if coupon.get("percent_off"):
        return int(total * (1 - Decimal(str(coupon["percent_off"])) / 100))
    return total - int(coupon["amount_off"] or 0)


def _check_payable(request: ApiRequest, made: Json, params: Json, customer: Json, due: int) -> None:
    """Raises StripeError where the first invoice is to be charged, and there is nothing to charge."""
    behavior = params.get("payment_behavior", "allow_incomplete")
    if due <= 0 or made["collection_method"] == "send_invoice" or behavior == "default_incomplete":
        return
    method = invoice_payments.default_payment_method(request, params | {"object": "subscription"}, customer)
    if method is None:
        raise invoice_payments.no_payment_method_error()
    refusal = charging.expected_refusal(method)
    if refusal is not None and behavior == "error_if_incomplete":
        raise refusal


def set_cancellation(made: Json, params: Json, now: int) -> None:
    """Have it end by itself: at the end of the period, or at a time."""
    if params.get("cancel_at_period_end") and params.get("cancel_at") is not None:
        raise StripeError(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
            param="cancel_at",
        )
    ends = [item["current_period_end"] for item in made["items"]["data"]]
    if params.get("cancel_at_period_end") or params.get("cancel_at") is not None:
        at = params.get("cancel_at")
        if params.get("cancel_at_period_end") or at == "max_period_end":
            at = max(ends)
        elif at == "min_period_end":
            at = min(ends)
        else:
            at = require_future_time(at, now, "cancel_at")
        made |= {
            "cancel_at": at,
            "cancel_at_period_end": bool(params.get("cancel_at_period_end")),
            "canceled_at": now,
        }
        made["cancellation_details"]["reason"] = "cancellation_requested"
    elif params.get("cancel_at_period_end") is False or "cancel_at" in params:
        made |= {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}
        made["cancellation_details"] = dict.fromkeys(("comment", "feedback", "reason"))


def _first_invoice(
    request: ApiRequest, made: Json, params: Json, once: list[tuple[Json, int, Json]], cut: int | None
) -> None:
    if made["status"] == "trialing":
        values = invoicing.trial_lines(request, made)
    elif cut is not None:
        free = params.get("proration_behavior") == "none"
        begin = made["start_date"]
        values = invoicing.partial_period_lines(
            request, made, lambda price: add_intervals(begin, billing_interval(price)), free=free
        )
    else:
        values = invoicing.period_lines(request, made)
    for price, quantity, sent in once:
        one = lines.price_line(request, price, quantity)
        values.append(one | {"metadata": dict(sent.get("metadata") or {}), "subscription": made["id"]})
    invoice = invoicing.create_invoice(request, made, "subscription_create", values)
    waits = params.get("payment_behavior") == "default_incomplete"
    invoicing.collect_invoice(request, made, invoice, wait=waits)
    if invoice["status"] == "open" and made["status"] != "trialing":
        made["status"] = "incomplete"
    save(request, "subscription", made)


HANDLERS = Handlers(on_create={"subscription": create})
