"""A filter that Stripe refuses loses no row: a wider list is read, or no object can match."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from stripe_fdw.catalog import load
from stripe_fdw.errors import ApiError, NotFoundError, PermissionDeniedError, StripeFdwError
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.schema.table_names import TableNames
from support import sample_resources as samples
from support.fake_stripe import FakeStripe
from support.sample_reads import ids, pages, reader, stripe


def test_a_value_that_stripe_refuses_is_looked_for_in_the_whole_list() -> None:
    client = stripe()
    client.objects["customer"][7]["email"] = "odd"
    answer = client.answer

    def refuse(request: Any) -> Any:
        if dict(request.params).get("email") == "odd":
            raise ApiError("Invalid email", status=400, param="email", code="email_invalid")
        return answer(request)

    client.answer = refuse  # type: ignore[method-assign]
    assert ids(pages(client, "customer", Qual("email", "=", "odd"))) == ["cus_7"]
    both = Qual("email", "= any", ("odd", "a@b.c"))
    assert sorted(ids(pages(client, "customer", both))) == sorted(f"cus_{i}" for i in range(250))


def test_lines_of_a_preview_that_stripe_does_not_list_are_an_error_and_not_no_lines() -> None:
    resources = load().resource
    client = FakeStripe(resources, {})

    def refuse(request: Any) -> Any:
        raise NotFoundError("No such invoice", status=404, code="resource_missing", param="invoice")

    client.answer = refuse  # type: ignore[method-assign]
    read = replace(reader(client), resources=resources, names=TableNames("eu_live"))

    def lines(invoice: str) -> list[str]:
        quals = [Qual("invoice", "=", invoice)]
        return ids(read.pages(plan_read(resources["line_item"], quals, resources=resources)))

    assert lines("in_unknown") == []
    for preview in ("upcoming_in_1", "upcoming"):
        with pytest.raises(StripeFdwError, match="does not list the lines of a preview") as caught:
            lines(preview)
        assert caught.value.sqlstate == "0A000"
        assert "eu_live.upcoming_invoice" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("table", "qual"),
    [
        ("account", Qual("id", "=", "acct_unknown")),
        ("person", Qual("account", "=", "acct_unknown")),
        ("capability", Qual("account", "=", "acct_unknown")),
    ],
)
@pytest.mark.parametrize("own", [None, "acct_own", "acct_unknown"])
def test_an_account_that_stripe_does_not_admit_is_no_row_unless_it_is_the_keys_own(
    table: str, qual: Qual, own: str | None
) -> None:
    resources = load().resource
    client = FakeStripe(resources, {})
    client.options = replace(client.options, stripe_account=own)

    def refuse(request: Any) -> Any:
        raise PermissionDeniedError(
            "The key has no access to account 'acct_unknown'", status=403, code="account_invalid"
        )

    client.answer = refuse  # type: ignore[method-assign]
    plan = plan_read(resources[table], [qual], resources=resources)
    read = replace(reader(client), resources=resources).pages(plan)
    if own == "acct_unknown":
        with pytest.raises(PermissionDeniedError):
            ids(read)
    else:
        assert ids(read) == []


@pytest.mark.parametrize(
    ("value", "kind", "param", "rows"),
    [
        ("mad", "invalid_request_error", "type", 0),  # none can have it
        ("recurring", "invalid_request_error", "type", 3),  # some may, so all are looked through
        ("mad", "invalid_request_error", "product", None),
        ("mad", "invalid_request_error", None, None),
    ],
)
def test_a_refused_value_of_an_exact_filter_is_one_that_no_object_has(
    value: str, kind: str, param: str | None, rows: int | None
) -> None:
    prices = [{"id": f"price_{i}", "created": i, "active": True, "type": "recurring"} for i in range(3)]
    client = FakeStripe(samples.ALL, {"price": prices})
    answer = client.answer

    def refuse(request: Any) -> Any:
        if "type" in dict(request.params):
            raise ApiError("Invalid type: must be one of one_time", status=400, type=kind, param=param)
        return answer(request)

    client.answer = refuse  # type: ignore[method-assign]
    quals = (Qual("type", "=", value), Qual("active", "=", True))
    if rows is None:
        with pytest.raises(ApiError, match="must be one of"):
            ids(pages(client, "price", *quals))
    else:
        assert len(ids(pages(client, "price", *quals))) == rows


@pytest.mark.parametrize(
    ("qual", "param"),
    [
        (Qual("type", "=", "odd"), "type"),
        (Qual("type", "= any", ("odd", "mad")), "type"),
        (Qual("lookup_key", "=", "key"), "lookup_keys"),
        (Qual("lookup_key", "= any", ("key", "other")), "lookup_keys[0]"),
        (Qual("created", ">", datetime.fromtimestamp(1, UTC)), "created[gt]"),
        (Qual("created", "<", datetime.fromtimestamp(9, UTC)), "created"),
    ],
    ids=str,
)
def test_a_filter_that_is_refused_for_another_reason_loses_no_row(qual: Qual, param: str) -> None:
    prices = [
        {"id": f"price_{i}", "created": 5 - i, "active": True, "type": "odd", "lookup_key": "key"}
        for i in range(3)
    ]
    client = FakeStripe(samples.ALL, {"price": prices})
    answer = client.answer

    def refuse(request: Any) -> Any:
        if {name.partition("[")[0] for name, _ in request.params} & {param.partition("[")[0]}:
            raise ApiError(
                "You may only specify one of these parameters.",
                status=400,
                type="invalid_request_error",
                param=param,
            )
        return answer(request)

    client.answer = refuse  # type: ignore[method-assign]
    plan = plan_read(samples.PRICE, (qual, Qual("active", "=", True)), resources=samples.ALL)
    assert qual in plan.pushed
    refused = reader(client)
    assert ids(refused.pages(plan)) == ["price_0", "price_1", "price_2"]
    assert refused.requester.cost.widened_lists > 0
    statistics = dict(Scan(iter(()), refused.requester.cost).statistics())
    assert statistics["Stripe Lists Without a Refused Filter"] == str(refused.requester.cost.widened_lists)
    assert "Stripe Lists Without a Refused Filter" not in dict(Scan(iter(()), RequestCost()).statistics())


def test_a_refused_filter_that_cannot_be_left_out_is_an_error() -> None:
    client = stripe()

    def refuse(request: Any) -> Any:
        raise ApiError("No.", status=400, type="invalid_request_error", param="subscription")

    client.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(ApiError, match="No"):
        ids(pages(client, "subscription_item", Qual("subscription", "=", "sub_1")))
