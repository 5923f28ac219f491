"""What can be written: columns and their parameters, required values, fields of nested parameters."""

from __future__ import annotations

import re

import pytest

from stripe_fdw.catalog import Kind, Parameter, Resource, load
from support.cases import each

CATALOG = load()
TABLES = CATALOG.resource
EVERY = each("resource", CATALOG.resources, ids=lambda item: item.name)


# -- columns and their parameters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "created", "updated"),
    [
        ("customer.email", "email", "email"),
        ("customer.created", None, None),
        ("customer.id", None, None),
        ("customer.default_payment_method", "invoice_settings[default_payment_method]", "same"),
        ("coupon.id", "id", None),
        ("coupon.metadata", "metadata", "metadata"),
        ("subscription.customer", "customer", None),
        ("subscription.cancel_at_period_end", "cancel_at_period_end", "cancel_at_period_end"),
        ("subscription.pause_collection", None, "pause_collection"),
        ("subscription.trial_end", "trial_end", "trial_end"),
        ("subscription.status", None, None),
        ("subscription.price", "items[0][price]", None),
        ("subscription.start_date", "backdate_start_date", None),
        ("subscription_schedule.subscription", "from_subscription", None),
        ("charge.captured", "capture", None),
        ("subscription.automatic_tax_enabled", "automatic_tax[enabled]", "automatic_tax[enabled]"),
        ("subscription.billing_cycle_anchor", "billing_cycle_anchor", None),
        ("subscription_item.price", "price", "price"),
        ("invoice.subscription", "subscription", None),
        ("invoiceitem.price", "pricing[price]", "pricing[price]"),
        ("invoiceitem.created", None, None),
        ("line_item.price", None, "pricing[price]"),
        ("price.active", "active", "active"),
        ("price.recurring_interval", "recurring[interval]", None),
        ("price.recurring", "recurring", None),
        ("promotion_code.active", "active", "active"),
        ("promotion_code.coupon", "promotion[coupon]", None),
        ("shipping_rate.currency", "fixed_amount[currency]", None),
        ("tax_id.owner_customer", "owner[customer]", None),
        ("person.relationship_owner", "relationship[owner]", "relationship[owner]"),
        ("charge.application_fee", None, None),  # the parameter is an amount, the column an id
    ],
)
def test_a_column_is_written_where_stripe_takes_it(
    column: str, created: str | None, updated: str | None
) -> None:
    table, name = column.split(".")
    assert shown(TABLES[table].create_paths.get(name)) == created
    assert shown(TABLES[table].update_paths.get(name)) == (created if updated == "same" else updated)


def shown(path: tuple[str, ...] | None) -> str | None:
    return path[0] + "".join(f"[{step}]" for step in path[1:]) if path else None


@EVERY
def test_paths_of_columns_lead_to_parameters_that_take_them(resource: Resource) -> None:
    for operation, columns in (
        (resource.create, resource.create_paths),
        (resource.update, resource.update_paths),
    ):
        for name, path in columns.items():
            assert operation is not None
            leaf_parameter = leaf(operation.parameters, path)
            assert (leaf_parameter.kind is Kind.JSON) == (resource.column[name].kind is Kind.JSON), (
                name,
                leaf_parameter,
            )
            if resource.column[name].kind is Kind.TIME:
                assert leaf_parameter.kind is Kind.TIME, name


@EVERY
def test_the_extra_parameters_of_a_write_path_are_accepted(resource: Resource) -> None:
    assert len({write_path.column for write_path in resource.write_paths}) == len(resource.write_paths)
    for write_path in resource.write_paths:
        assert write_path.on_create or write_path.on_update
        for operation in [resource.create] * write_path.on_create + [resource.update] * write_path.on_update:
            assert operation is not None
            for parameter, value in write_path.extra_parameters:
                leaf_parameter = leaf(operation.parameters, tuple(re.findall(r"[^\[\]]+", parameter)))
                assert value in leaf_parameter.values


def leaf(parameters: tuple[Parameter, ...], path: tuple[str, ...]) -> Parameter:
    parameter = next(item for item in parameters if item.name == path[0])
    for step in path[1:]:
        if step == "0":
            assert parameter.is_list
        else:
            parameter = next(item for item in parameter.fields if item.name == step)
    return parameter


# Columns beside parameters of their name that take something else: an amount for an id, an object for a time,
# an id or an object.
OF_ANOTHER_FORM = {
    ("charge", "application_fee"),
    ("subscription", "billing_cycle_anchor"),
    ("token", "card"),
}


@EVERY
def test_every_parameter_called_as_a_column_is_written_through_it(resource: Resource) -> None:
    for operation, columns in (
        (resource.create, resource.create_paths),
        (resource.update, resource.update_paths),
    ):
        names = {item.name for item in operation.parameters} if operation else set()
        refused = {name for name in names & set(resource.column) if name not in columns}
        assert {(resource.name, name) for name in refused} <= OF_ANOTHER_FORM


# Derived columns that are only read: (table, column) → why no parameter of create or update is theirs.
ONLY_READ = {
    ("checkout_session", "customer_details_email"): "what the customer typed; customer_email is written",
    ("invoice", "quote"): "set by accepting the quote",
    ("invoice", "subscription"): "written by its own name",
    ("invoiceitem", "created"): "the moment of creation",
    ("invoiceitem", "product"): "the price's",
    ("invoiceitem", "subscription"): "written by its own name",
    ("invoiceitem", "subscription_item"): "set by the subscription",
    ("line_item", "product"): "the price's",
    ("line_item", "subscription_item"): "set by the subscription",
    ("subscription", "current_period_end"): "set by billing",
    ("subscription", "current_period_start"): "set by billing",
    ("subscription_item", "product"): "the price's",
    ("v2_core_vault_us_bank_account", "verification_status"): "what its microdeposits led to",
}


# Columns of which a parameter of another name says the same.
SENT_UNDER_ANOTHER_NAME = {
    ("charge", "captured"),
    ("subscription", "start_date"),
    ("subscription_schedule", "subscription"),
}


def test_every_derived_column_of_a_writable_table_has_a_write_path_or_a_reason() -> None:
    derived = {
        (resource.name, column.name)
        for resource in CATALOG.resources
        for column in resource.columns
        if column.path not in ((), (column.name,)) and (resource.create or resource.update)
    }
    with_write_path = {
        (resource.name, write_path.column)
        for resource in CATALOG.resources
        for write_path in resource.write_paths
    }
    assert derived - with_write_path == set(ONLY_READ)
    assert with_write_path - derived == SENT_UNDER_ANOTHER_NAME


# -- what creation needs ----------------------------------------------------------------------------------


def test_groups_of_which_one_is_needed() -> None:
    subscription = TABLES["subscription"].create
    assert subscription is not None
    assert subscription.one_of == (("customer", "customer_account"), ("items",))
    customer = TABLES["customer"].create
    assert customer is not None
    assert customer.one_of == ()
    coupon = TABLES["coupon"].create
    assert coupon is not None
    assert coupon.one_of == (("percent_off", "amount_off"),)


def test_groups_name_parameters_that_are_not_required_alone() -> None:
    for operation in CATALOG.operations:
        optional = {item.name for item in operation.parameters if not item.required}
        for group in operation.one_of:
            assert set(group) <= optional, operation.path


# -- nested parameters ------------------------------------------------------------------------------------


def nested(table: str, *path: str) -> Parameter:
    create = TABLES[table].create
    assert create is not None
    return leaf(create.parameters, path)


def test_nested_parameters_know_their_fields() -> None:
    assert {item.name for item in nested("customer", "address").fields} == {
        "city",
        "country",
        "line1",
        "line2",
        "postal_code",
        "state",
    }
    items = nested("subscription", "items")
    assert items.is_list
    assert {"price", "price_data", "quantity", "metadata"} <= {item.name for item in items.fields}
    assert nested("subscription", "items", "0", "quantity").kind is Kind.INTEGER


def test_required_ones_literals_times_and_depth() -> None:
    recurring = nested("price", "recurring")
    assert [item.name for item in recurring.fields if item.required] == ["interval"]
    assert nested("price", "recurring", "interval").values == ("day", "month", "week", "year")
    assert nested("promotion_code", "restrictions", "minimum_amount").kind is Kind.INTEGER
    assert nested("subscription_schedule", "phases", "end_date").kind is Kind.TIME
    rate = nested("subscription_schedule", "phases", "items", "price_data", "recurring", "interval")
    assert rate.required
    assert nested("invoiceitem", "period", "start").kind is Kind.TIME
    assert nested("price", "transform_quantity", "divide_by").kind is Kind.INTEGER
    assert nested("account", "settings", "payouts", "schedule", "monthly_anchor").kind is Kind.INTEGER
    assert nested("webhook_endpoint", "enabled_events").is_list
    assert "customer.created" in nested("webhook_endpoint", "enabled_events").values


def test_where_anything_may_stand_nothing_is_known() -> None:
    assert nested("customer", "metadata").fields == ()
    assert nested("customer", "email").fields == ()
    assert not nested("customer", "metadata").is_list


def test_of_several_objects_that_may_stand_somewhere_all_fields_are_known() -> None:
    account = nested("external_account", "external_account")
    names = {item.name for item in account.fields}
    assert {"account_number", "number", "token"} <= names
    assert {item.name for item in account.fields if item.required} == {"object"}


def test_reading_a_table_opens_no_file_of_nested_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(shape: str) -> tuple[Parameter, ...]:
        raise AssertionError(shape)

    monkeypatch.setattr("stripe_fdw.catalog.parameter_shapes.fields", opened)
    for resource in CATALOG.resources:
        assert set(resource.create_paths) | set(resource.update_paths) <= set(resource.column)
