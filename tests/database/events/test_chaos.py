"""A short run of ``make chaos``: random changes while everything fails, then all is compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.run import run
from stripe_fdw.host.postgres_installation import PostgresInstallation

COPIED = (
    *(
        "customer",
        "product",
        "price",
        "coupon",
        "subscription",
        "subscription_item",
        "invoice",
        "invoiceitem",
    ),
    *("line_item", "charge", "payment_intent", "refund"),
)


@pytest.mark.skipif("bundled" not in PostgresInstallation.find().hosts(), reason="there is no C compiler")
def test_copies_equal_stripe_after_chaos(tmp_path: Path) -> None:
    result = run(tmp_path, seed=11, changes=100, copies=COPIED, say=lambda line: None)
    assert not result.wrong, str(result)
    assert result.counts["events"]["applied"] > 33
    assert sum(result.counts["changes"].values()) == 100
    assert result.counts["transactions"]["committed"] > 0
    assert result.counts["disturbances"]
