"""The tables of version 2 of the API, and the types of its thin events."""

from __future__ import annotations

from collections import Counter

from stripe_fdw.catalog import Kind, load

CATALOG = load()
TABLES = [item for item in CATALOG.resources if item.is_version_2]


def test_every_list_under_v2_is_a_table() -> None:
    lists = {
        item.path
        for item in CATALOG.operations
        if item.path.startswith("/v2/") and item.method == "GET" and item.name == "list"
    }
    assert {item.list_path for item in TABLES} == lists
    assert len(TABLES) == 18
    assert {item.area for item in TABLES} == {"v2"}


def test_tables_are_named_after_their_object() -> None:
    assert all(item.name == item.object.replace(".", "_") for item in TABLES)
    assert max(Counter(item.name for item in CATALOG.resources).values()) == 1


def test_pages_have_what_every_list_accepts() -> None:
    sizes = {item.name: item.page_size for item in TABLES}
    assert sizes.pop("v2_money_management_payout_intent") == 100  # of which the SDK says so
    assert set(sizes.values()) == {20}
    assert {item.page_size for item in CATALOG.resources if not item.is_version_2} == {100}


def test_times_are_texts() -> None:
    for item in TABLES:
        assert item.column["created"].kind is Kind.TIMESTAMP
        assert not any(column.kind is Kind.TIME for column in item.columns)
    others = [item for item in CATALOG.resources if not item.is_version_2]
    assert not any(column.kind is Kind.TIMESTAMP for item in others for column in item.columns)


def test_lists_are_not_cut_into_slices_and_have_no_known_order() -> None:
    assert not any(item.newest_first for item in TABLES)


def test_filters() -> None:
    filters = {item.name: [each.parameter for each in item.filters] for item in TABLES if item.filters}
    assert filters == {
        "v2_commerce_product_catalog_import": ["feed_type", "status"],
        "v2_core_account": ["applied_configurations", "closed"],
        "v2_core_event": ["created", "object_id", "types"],
        "v2_core_vault_us_bank_account": ["verification_status"],
        "v2_money_management_adjustment": ["adjusted_flow", "created"],
        "v2_money_management_financial_account": ["statuses"],
        "v2_money_management_financial_address": ["financial_account"],
        "v2_money_management_inbound_transfer": ["created"],
        "v2_money_management_outbound_payment": ["created", "recipient", "status"],
        "v2_money_management_payout_method": ["usage_status[payments]", "usage_status[transfers]"],
        "v2_money_management_received_credit": ["created"],
        "v2_money_management_transaction": ["created", "financial_account", "flow"],
        "v2_money_management_transaction_entry": ["created", "transaction"],
    }


def test_a_person_lies_in_an_account_of_version_2() -> None:
    person = CATALOG.resource["v2_core_account_person"]
    assert [(item.parameter, item.column, item.resource) for item in person.parents] == [
        ("account_id", "account", "v2_core_account")
    ]
    assert person.column["account"].references == ("v2_core_account",)


def test_words_that_python_keeps_are_the_api_s() -> None:
    columns = CATALOG.resource["v2_money_management_outbound_payment"].column
    assert "from" in columns
    assert "from_" not in columns


def test_null_unsets_in_version_2_alone_also_inside_objects() -> None:
    update = CATALOG.resource["v2_core_account"].update
    assert update is not None
    assert all(item.null_unsets for item in update.parameters)
    identity = next(item for item in update.parameters if item.name == "identity")
    assert identity.fields
    assert all(item.null_unsets for item in identity.fields)
    customer = CATALOG.resource["customer"].update
    assert customer is not None
    assert not any(
        item.null_unsets or inner.null_unsets for item in customer.parameters for inner in item.fields
    )


# -- thin events ---------------------------------------------------------------------------------------------


def test_thin_events_name_their_object() -> None:
    objects = {item.type: item.object for item in CATALOG.thin_events}
    assert len(objects) == len(CATALOG.thin_events) >= 300
    assert list(objects) == sorted(objects)
    assert objects["v2.core.account.closed"] == "v2.core.account"
    assert objects["v2.core.account_person.created"] == "v2.core.account_person"
    assert objects["v1.customer.created"] == "customer"
    assert objects["v1.invoice.upcoming"] == ""  # contains a preview


def test_thin_events_of_version_2_are_about_tables_or_objects_without_a_list() -> None:
    about = {item.object for item in CATALOG.thin_events if item.type.startswith("v2.")}
    without_list = about - {item.object for item in TABLES}
    assert without_list <= {"", "v2.money_management.recipient_verification"}
