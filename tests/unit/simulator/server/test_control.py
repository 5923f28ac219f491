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
