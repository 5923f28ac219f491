"""All operations of the simulator: the handlers of every module, and the function that answers a route."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from stripe_simulator.objects import read
from stripe_simulator.objects.operation import run_operation
from stripe_simulator.operations import crud
from stripe_simulator.operations.billing import (
    alerts,
    credit_grants,
    credit_notes,
    discounts,
    meters,
    portal,
    quotes,
    test_clocks,
)
from stripe_simulator.operations.billing.invoices import (
    creation as invoice_creation,
)
from stripe_simulator.operations.billing.invoices import (
    finalization,
    invoice_items,
    line_editing,
    payment,
    preview,
    voiding,
)
from stripe_simulator.operations.billing.invoices import updates as invoice_updates
from stripe_simulator.operations.billing.subscriptions import (
    cancellation,
    pausing,
    schedules,
    subscription_items,
)
from stripe_simulator.operations.billing.subscriptions import creation as subscription_creation
from stripe_simulator.operations.billing.subscriptions import updates as subscription_updates
from stripe_simulator.operations.checkout import completion, payment_links, sessions
from stripe_simulator.operations.connect import (
    account_links,
    accounts,
    application_fees,
    external_accounts,
    transfers,
)
from stripe_simulator.operations.customers import (
    cash_balance,
    customer_balance,
    customer_payment_methods,
    customer_sources,
    customers,
    tax_ids,
)
from stripe_simulator.operations.payments import (
    balance,
    charges,
    disputes,
    payment_intents,
    payment_methods,
    payment_records,
    payouts,
    refunds,
    reviews,
    setup_intents,
    sources,
    tokens,
    topups,
)
from stripe_simulator.operations.products import coupons, plans, prices, products, promotion_codes, tax_rates
from stripe_simulator.operations.simple import (
    app_secrets,
    client_sessions,
    ephemeral_keys,
    file_links,
    financial_connections,
    identity,
    state_changes,
    tax,
    tax_transactions,
    terminal,
    treasury_features,
    webhook_endpoints,
)
from stripe_simulator.operations.version_2 import respond as version_2
from stripe_simulator.requests.search_query import search

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.requests.routes import Route

_MODULES = (
    # billing
    alerts, cancellation, credit_grants, credit_notes, discounts, finalization, invoice_creation,
    invoice_items, invoice_updates, line_editing, meters, pausing, payment, portal, preview, quotes,
    schedules, subscription_creation, subscription_items, subscription_updates, test_clocks, voiding,
    # checkout
    completion, payment_links, sessions,
    # connect
    account_links, accounts, application_fees, external_accounts, transfers,
    # customers
    cash_balance, customer_balance, customer_payment_methods, customer_sources, customers, tax_ids,
    # payments
    balance, charges, disputes, payment_intents, payment_methods, payment_records, payouts, refunds, reviews,
    setup_intents, sources, tokens, topups,
    # products
    coupons, plans, prices, products, promotion_codes, tax_rates,
    # simple
    app_secrets, client_sessions, ephemeral_keys, file_links, financial_connections, identity, tax,
    tax_transactions, terminal, treasury_features, state_changes, webhook_endpoints,
)  # fmt: skip
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _merge(tables: Iterable[Mapping[_Key, _Value]]) -> dict[_Key, _Value]:
    """Return the entries of all tables. Raises ValueError for a key that two tables have."""
    merged: dict[_Key, _Value] = {}
    for table in tables:
        if duplicates := merged.keys() & table.keys():
            raise ValueError(f"registered twice: {duplicates}")
        merged |= table
    return merged


_ALL = [module.HANDLERS for module in _MODULES]
OPERATIONS = _merge(handlers.operations for handlers in _ALL)
ROUTES = _merge(handlers.routes for handlers in _ALL)
ON_CREATE = _merge(handlers.on_create for handlers in _ALL)
ON_UPDATE = _merge(handlers.on_update for handlers in _ALL)
ON_DELETE = _merge(handlers.on_delete for handlers in _ALL)
OUTCOMES = _merge(handlers.outcomes for handlers in _ALL)


def find_operation(method: str, route: Route) -> Callable[[ApiRequest], ApiResponse] | None:
    """Return the function that answers requests of a route; None if the simulator does not implement it."""
    if version_2.is_version_2(route):
        return version_2.find_operation(route)
    answer = ROUTES.get((method, route.template))
    if answer is not None or route.resource is None:
        return answer
    if route.is_standard:
        return _plain_operation(route.action, route.resource.name)
    handler = OPERATIONS.get((route.resource.name, route.action))
    return None if handler is None else partial(run_operation, handler=handler)


@cache  # it is called for each request
def _plain_operation(action: str, resource: str) -> Callable[[ApiRequest], ApiResponse] | None:
    plain: dict[str, Callable[[ApiRequest], ApiResponse]] = {
        "list": read.list_objects,
        "retrieve": read.retrieve,
        "search": search,
        "create": partial(crud.create, on_create=ON_CREATE.get(resource)),
        "update": partial(crud.update, on_update=ON_UPDATE.get(resource)),
        "delete": partial(crud.delete, on_delete=ON_DELETE.get(resource)),
    }
    return plain.get(action)
