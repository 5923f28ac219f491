"""``stripe-fdw check`` finds nothing wrong with a sound installation, on each host."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from stripe_simulator.process import SimulatorProcess
from support.checked import RESTRICTED, Checked, mapped, run

Check = Callable[..., Checked]


def test_a_sound_installation_is_ok_and_takes_one_request(
    check: Check, keys: SimulatorProcess, installed: str, host: str
) -> None:
    keys.control("DELETE", "/requests")
    checked = check()
    assert (checked.code, checked.bad) == (0, {})
    assert [f"{each['method']} {each['path']}" for each in keys.requests()] == ["GET /v1/account"]
    assert "in test mode" in checked["key"][1]
    assert ("Multicorn2" in checked["server"][1]) == (host == "multicorn2")
    lines = run("check", DATABASE_URL=installed).stdout.splitlines()
    assert lines[0].startswith("ok       server: server stripe with ")
    assert lines[-1] == f"{len(lines) - 1} checks, all ok"


def test_permissions_are_tried_by_a_request_for_each_list(
    check: Check, keys: SimulatorProcess, db: psycopg.Connection
) -> None:
    keys.control("DELETE", "/requests")
    found = check("--permissions")
    assert (found.code, found.bad) == (0, {})
    asked = keys.requests()
    lists = [each for each in asked if each["path"] not in ("/v1/account", "/v1/balance")]
    assert {each["method"] for each in asked} == {"GET"}
    assert {each["query_string"] for each in lists if "/v2/" not in each["path"]} <= {"limit=1", ""}
    assert len({each["path"] for each in lists}) == len(lists) > 60
    assert "the account does not use the products of issuing_" in found["permissions"][1]

    keys.control("POST", "/keys", {"restricted": {RESTRICTED: ["customer_read", "account_read"]}})
    with mapped(db, RESTRICTED):
        status, message, fix = check("--permissions")["permissions"]
    assert status == "warning"
    refused = message.partition("tables: ")[2].partition(". Of ")[0].split(", ")
    assert ("invoice" in refused, "customer" in refused) == (True, False)
    assert "Having the permission" in message
    assert fix == "give the key these permissions in Stripe, or use another key"
