"""What a dry run shows of a request."""

from __future__ import annotations

import pytest

from stripe_fdw.api.request import Request
from stripe_fdw.fdw.backend.standalone import StandaloneHost
from stripe_fdw.fdw.writing.dry_run import DryRun
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest


class Client(StandaloneHost):
    """A host that keeps its notices."""

    def __init__(self) -> None:
        self.notices: list[str | None] = []

    def notice(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        self.notices += [message, detail]


def shown(request: Request, key: str | None = None) -> list[str | None]:
    host = Client()
    plan = RowPlan(requests=(WriteRequest(request, "create"),), invalidates=None, idempotency_key=key)
    DryRun(host).show(3, plan)
    return host.notices


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"card": {"number": "4242", "exp_month": 1}}, "card[number] = '****', card[exp_month] = '1'"),
        (
            {"source": {"object": "card", "number": "4242"}},
            "source[object] = 'card', source[number] = '****'",
        ),
        ({"payment_method_data": {"card": {"cvc": "1"}}}, "payment_method_data[card][cvc] = '****'"),
        ({"bank_account": {"account_number": "1"}}, "bank_account[account_number] = '****'"),
        ({"individual": {"id_number": "1"}, "name": "A"}, "individual[id_number] = '****', name = 'A'"),
        ({"payload": "x", "number": "IN-1"}, "payload = '****', number = 'IN-1'"),
        ({"metadata": {"pinned": "1"}}, "metadata[pinned] = '1'"),
        ({"description": "sk_live_0123456789abcdefghij"}, "description = 'sk_live_****'"),
        ({"description": None}, "description = ''"),
        ({"iban": None}, "iban = ''"),
        ({"items": [{"price": "it's"}]}, "items[0][price] = 'it''s'"),
    ],
)
def test_parameters_are_literals_and_secrets_are_masked(params: dict[str, object], expected: str) -> None:
    request = Request.of("POST", "/v1/things", params)
    assert shown(request) == ["dry run, row 3: would send POST /v1/things", f"Parameters: {expected}."]


def test_the_json_of_version_2_is_shown_like_any_parameters() -> None:
    request = Request.of("POST", "/v2/things", {"a": {"b": [1, True]}, "secret": "x"})
    expected = "Parameters: a[b][0] = '1', a[b][1] = 'true', secret = '****'. Idempotency key: 'k'."
    assert shown(request, "k")[1] == expected


def test_many_and_long_parameters_are_cut() -> None:
    detail = shown(Request.of("POST", "/v1/things", {f"p{n}": "x" * 10_000 for n in range(150)}))[1]
    assert detail is not None
    assert detail.endswith(", and 50 more.")
    assert len(detail) < 100 * 230


def test_a_delete_has_no_idempotency_key() -> None:
    assert shown(Request.of("DELETE", "/v1/things/x"), "k") == [
        "dry run, row 3: would send DELETE /v1/things/x",
        None,
    ]
