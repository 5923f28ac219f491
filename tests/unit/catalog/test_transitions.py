"""Changes of a column that are operations, and the operations that are none."""

from __future__ import annotations

import pytest

from stripe_fdw.catalog import ANY_VALUE, Resource, Transition, load
from stripe_fdw.catalog.overlay import transitions
from support.cases import each

CATALOG = load()
TABLES = CATALOG.resource
EVERY = each("resource", CATALOG.resources, ids=lambda item: item.name)


def reached(table: str, old: str | None, new: str | None, column: str = "status") -> str | None:
    """The operation that a change is, by the contract: the first whose column, value and sources fit."""
    for item in TABLES[table].transitions:
        if (
            item.column == column
            and item.value in (new, ANY_VALUE)
            and (not item.sources or old in item.sources)
        ):
            return item.operation.name
    return None


@pytest.mark.parametrize(
    ("table", "old", "new", "operation"),
    [
        ("subscription", "active", "canceled", "cancel"),
        ("subscription", "past_due", "canceled", "cancel"),
        ("subscription", "incomplete_expired", "canceled", None),
        ("subscription", "paused", "active", "resume"),
        ("subscription", "trialing", "active", "update"),
        ("subscription", "past_due", "active", None),
        ("subscription", "active", "paused", "pause"),
        ("subscription", "canceled", "paused", None),
        ("invoice", "draft", "open", "finalize_invoice"),
        ("invoice", "paid", "open", None),
        ("invoice", "open", "paid", "pay"),
        ("invoice", "void", "paid", None),
        ("invoice", "open", "void", "void_invoice"),
        ("invoice", "draft", "void", None),
        ("invoice", "uncollectible", "void", "void_invoice"),
        ("invoice", "open", "uncollectible", "mark_uncollectible"),
        ("invoice", "open", "sent", "send_invoice"),
        ("invoice", "paid", "sent", None),
        ("payment_intent", "requires_confirmation", "succeeded", "confirm"),
        ("payment_intent", "requires_capture", "succeeded", "capture"),
        ("payment_intent", "requires_capture", "canceled", "cancel"),
        ("payment_intent", "succeeded", "canceled", None),
        ("setup_intent", "requires_payment_method", "succeeded", "confirm"),
        ("setup_intent", "requires_action", "canceled", "cancel"),
        ("setup_intent", "succeeded", "canceled", None),
        ("quote", "draft", "open", "finalize_quote"),
        ("quote", "open", "accepted", "accept"),
        ("quote", "draft", "accepted", None),
        ("quote", "open", "canceled", "cancel"),
        ("subscription_schedule", "active", "released", "release"),
        ("subscription_schedule", "completed", "canceled", None),
        ("credit_note", "issued", "void", "void_credit_note"),
        ("refund", "requires_action", "canceled", "cancel"),
        ("refund", "succeeded", "canceled", None),
        ("payout", "pending", "canceled", "cancel"),
        ("payout", "paid", "canceled", None),
        ("payout", "paid", "reversed", "reverse"),
        ("topup", "pending", "canceled", "cancel"),
        ("dispute", "needs_response", "lost", "close"),
        ("dispute", "won", "lost", None),
        ("dispute", "needs_response", "under_review", "update"),
        ("checkout_session", "open", "expired", "expire"),
        ("checkout_session", "complete", "expired", None),
        ("webhook_endpoint", "enabled", "disabled", "update"),
        ("treasury_outbound_payment", "processing", "canceled", "cancel"),
    ],
)
def test_a_change_of_state_is_an_operation(table: str, old: str, new: str, operation: str | None) -> None:
    assert reached(table, old, new) == operation


@pytest.mark.parametrize(
    ("table", "column", "new", "operation"),
    [
        ("review", "open", "false", "approve"),
        ("charge", "captured", "true", "capture"),
        ("payment_method", "customer", "cus_1", "attach"),
        ("payment_method", "customer", None, "detach"),
        ("customer", "discount", None, "delete_discount"),
        ("customer", "discount", "{}", None),
        ("test_helpers_test_clock", "frozen_time", "1", "advance"),
        ("file_link", "expired", "true", "update"),
    ],
)
def test_a_change_of_another_column_is_an_operation(
    table: str, column: str, new: str | None, operation: str | None
) -> None:
    old = {"true": "false", "false": "true"}.get(new or "")
    assert reached(table, old, new, column) == operation


def test_transitions_know_the_parameters_of_their_operation() -> None:
    sent = {(item.column, item.value): item.value_parameter for item in TABLES["payment_method"].transitions}
    assert sent == {
        ("customer", None): "",
        ("customer", ANY_VALUE): "customer",
        ("customer_account", None): "",
        ("customer_account", ANY_VALUE): "customer_account",
    }
    disabled = TABLES["webhook_endpoint"].transitions[0]
    assert disabled.extra_parameters == (("disabled", "true"),)


@EVERY
def test_changes_can_be_told_apart(resource: Resource) -> None:
    """No transition hides behind an earlier one, and none is of a column that update writes."""
    seen: list[Transition] = []
    for item in resource.transitions:
        assert item.column not in resource.update_paths, item
        assert item.value not in item.sources, item
        for other in seen:
            if other.column == item.column and other.value in (item.value, ANY_VALUE):
                assert other.sources, item
                assert not set(other.sources) & set(item.sources), item
        seen.append(item)


# Operations on one object that are no change of a column: by name, so that a new one is noticed. They are
# reached with stripe_live.call.
NO_CHANGE_OF_A_COLUMN = {
    "account": {
        "create": "makes a login link",
        "reject": "no column says it",
        "unreject": "no column says it",
    },
    "billing_credit_grant": {"expire": "the column expires_at is written"},
    "customer": {"create": "funding instructions are no column"},
    "financial_connections_account": {
        "refresh": "asks for new data",
        "subscribe": "adds to a list",
        "unsubscribe": "takes from a list",
    },
    "identity_verification_session": {"redact": "takes days"},
    "invoice": {
        "add_lines": "on its lines",
        "attach_payment": "on its payments",
        "remove_lines": "on its lines",
        "update_lines": "on its lines; one by one it is line_item",
    },
    "issuing_authorization": {
        "approve": "for an answer within seconds, and deprecated",
        "decline": "for an answer within seconds, and deprecated",
    },
    "payment_intent": {
        "apply_customer_balance": "moves money that the customer has sent",
        "increment_authorization": "raises the amount while it can be captured; else amount is written",
        "verify_microdeposits": "needs the amounts that the customer saw",
    },
    "payment_method_domain": {"validate": "checks again"},
    "payment_record": {
        "report_payment_attempt": "reports something that happened elsewhere",
        "report_payment_attempt_canceled": "reports something that happened elsewhere",
        "report_payment_attempt_failed": "reports something that happened elsewhere",
        "report_payment_attempt_guaranteed": "reports something that happened elsewhere",
        "report_payment_attempt_informational": "reports something that happened elsewhere",
        "report_refund": "reports something that happened elsewhere",
    },
    "setup_intent": {"verify_microdeposits": "needs the amounts that the customer saw"},
    "source": {"verify": "needs the amounts that the customer saw"},
    "subscription": {"delete_discount": "the column discounts is written"},
    "v2_core_account": {"create": "creates a token of a person"},
    "v2_core_event_destination": {"ping": "sends an event"},
    "v2_core_vault_us_bank_account": {
        "confirm_microdeposits": "needs the amounts that the customer saw",
        "send_microdeposits": "sends money",
    },
    "v2_money_management_payout_intent": {
        "confirm": "starts the payout, which Stripe then carries out or asks more for",
        "refresh_fx_quote": "asks again",
        "refresh_recipient_verification": "asks again",
    },
    "v2_money_management_transaction": {"refresh_regulatory_receipt": "asks again"},
    "terminal_reader": {
        "collect_inputs": "starts an action",
        "collect_payment_method": "starts an action",
        "confirm_payment_intent": "starts an action",
        "process_payment_intent": "starts an action",
        "process_setup_intent": "starts an action",
        "refund_payment": "starts an action",
        "set_reader_display": "starts an action",
    },
}


def test_every_operation_on_one_object_changes_a_column_or_is_known_not_to() -> None:
    without_column: dict[str, set[str]] = {}
    for resource in CATALOG.resources:
        reached_ones = {item.operation for item in resource.transitions}
        for operation in resource.operations:
            if operation.method != "GET" and "}/" in operation.path and operation not in reached_ones:
                without_column.setdefault(resource.name, set()).add(operation.name)
    assert without_column == {table: set(names) for table, names in NO_CHANGE_OF_A_COLUMN.items()}


# Groups of operations that belong to no table, by the beginning of their path.
OUTSIDE = {
    "/v1/test_helpers/": "make things happen in test mode; the test clocks among them are a table",
    "/v2/": "create objects that Stripe does not list",
}
# The others that belong to no table: they create objects that Stripe does not retrieve.
NO_TABLE = {
    "POST /v1/account_links",
    "POST /v1/account_sessions",
    "POST /v1/billing/meter_event_adjustments",
    "POST /v1/billing/meter_events",
    "POST /v1/billing_portal/sessions",
    "POST /v1/customer_sessions",
    "POST /v1/ephemeral_keys",
    "DELETE /v1/ephemeral_keys/{key}",
    "POST /v1/radar/payment_evaluations",
    "POST /v1/terminal/connection_tokens",
    "POST /v1/terminal/onboarding_links",
}


def test_every_operation_that_writes_belongs_to_a_table_or_is_known_not_to() -> None:
    of_tables = {
        f"{item.method} {item.path}"
        for resource in CATALOG.resources
        for item in (resource.create, resource.update, resource.delete, *resource.operations)
        if item is not None
    }
    writing = {f"{item.method} {item.path}" for item in CATALOG.operations if item.method != "GET"}
    left = {item for item in writing - of_tables if not item.split(" ")[1].startswith(tuple(OUTSIDE))}
    assert left == NO_TABLE


def test_words_that_are_no_state_are_declared() -> None:
    for (table, column), words in transitions.PSEUDO_STATES.items():
        assert not set(words) & set(TABLES[table].column[column].values)
        assert set(words) <= {item.value for item in TABLES[table].transitions}
