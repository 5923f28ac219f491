"""Who may use the control endpoint: programs on this machine, and no web page in its browser."""

import httpx
import pytest


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "localhost.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    ],
    ids=str,
)
def test_a_request_that_a_web_page_can_make_is_refused(simulator, headers):
    sent = {"Content-Type": "application/json", **headers}
    answer = httpx.post(
        f"{simulator.url}/_simulator/faults", content=b'{"kind": "status", "status": 500}', headers=sent
    )
    assert answer.status_code == 403
    assert "control request" in answer.json()["error"]
    assert simulator.control("GET", "/faults")["faults"] == []


@pytest.mark.parametrize(
    "host", ["localhost:1", "LOCALHOST", "127.0.0.1:9", "127.9.9.9", "[::1]:80", "[::1]"]
)
def test_programs_on_this_machine_are_served(simulator, host):
    answer = httpx.get(f"{simulator.url}/_simulator/status", headers={"Host": host})
    assert answer.status_code == 200
    assert answer.json()["customers"] >= 0


def test_nothing_of_a_refused_read_is_shown(simulator):
    answer = httpx.get(f"{simulator.url}/_simulator/requests", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "requests" not in answer.json()


def test_a_post_without_a_body_needs_no_type(simulator):
    assert httpx.post(f"{simulator.url}/_simulator/reset").status_code == 200


def test_a_reset_of_what_was_set_keeps_the_objects(simulator, post):
    identifier = post("/customers", name="Ada")["id"]
    simulator.control("POST", "/faults", {"kind": "status", "status": 500})
    simulator.control("POST", "/limits", {"rate": 1})
    simulator.control("POST", "/latency", {"ms": 5})
    simulator.control("POST", "/lag", {"seconds": 60})
    simulator.control("POST", "/clock", {"frozen_at": 1_800_000_000})
    simulator.control("POST", "/account_version", {"api_version": "2024-06-20"})
    simulator.control("POST", "/keys", {"wrong": ["sk_test_wrong0123456"]})
    simulator.control("POST", "/webhook_endpoints", {"url": "http://127.0.0.1:9", "secret": "whsec_x"})
    simulator.control("POST", "/reset", {"objects": False})
    settings = {
        name: simulator.control("GET", f"/{name}")
        for name in ("faults", "limits", "latency", "lag", "clock", "account_version", "keys", "webhooks")
    }
    assert settings["faults"]["faults"] == settings["lag"]["lags"] == settings["keys"]["wrong"] == []
    assert settings["limits"]["rate"] != 1
    assert settings["latency"]["ms"] == 0
    assert settings["clock"]["frozen_at"] is settings["account_version"]["api_version"] is None
    assert settings["webhooks"]["endpoints"] == []
    assert simulator.requests() == []
    key = {"Authorization": "Bearer sk_test_simulator0123"}
    assert httpx.get(f"{simulator.url}/v1/customers/{identifier}", headers=key).json()["name"] == "Ada"
    later = httpx.post(f"{simulator.url}/v1/customers/{identifier}", data={"name": "B"}, headers=key)
    assert later.status_code == 200
    newest = httpx.get(f"{simulator.url}/v1/events?limit=1", headers=key).json()["data"][0]
    assert newest["created"] != 1_800_000_000
