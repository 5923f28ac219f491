"""The simulator as a child process."""

import re
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from stripe_simulator.process import SimulatorProcess
from support.waiting import hang_guard, wait_until

HEADERS = {"Authorization": "Bearer sk_test_simulator0123"}


def test_it_starts_and_stops_and_keeps_its_log(tmp_path):
    log = tmp_path / "simulator.log"
    with SimulatorProcess(customers=5, log=log) as process:
        assert httpx.get(process.url + "/v1/customers", headers=HEADERS).status_code == 200
        assert process.url == f"http://127.0.0.1:{process.port}"
        assert process.pid is not None
    assert log.read_text().startswith("listening on http://127.0.0.1:")
    with pytest.raises(httpx.ConnectError):
        httpx.get(process.url + "/v1/customers", headers=HEADERS)
    process.stop()


def test_it_stops_promptly_while_a_request_hangs():
    with SimulatorProcess(customers=5) as process, httpx.Client(base_url=process.url) as client:
        process.control("POST", "/faults", {"kind": "hang"})
        with pytest.raises(httpx.ReadTimeout):
            client.get("/v1/customers", headers=HEADERS, timeout=0.2)
        with hang_guard():
            process.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="how often a process wakes up is read from /proc")
def test_it_sleeps_while_it_is_asked_nothing():
    with SimulatorProcess(customers=5) as process:

        def times_woken():
            status = Path(f"/proc/{process.pid}/status").read_text()
            return re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1]

        def sleeps():
            before = times_woken()
            time.sleep(0.5)
            return times_woken() == before

        wait_until(sleeps, "a half second of sleep", seconds=10)


def test_why_it_does_not_start_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="did not start"):
            SimulatorProcess(port=taken.getsockname()[1]).start()
    with pytest.raises(RuntimeError, match="RESOURCE=N"):
        SimulatorProcess(count=["unicorn=3"]).start()


def test_options_set_how_much_there_is_and_how_fast(tmp_path):
    options = {
        "customers": 20,
        "subscriptions": 7,
        "count": ["payout=3"],
        "endpoint_rate": 2,
        "latency_ms": 150,
    }
    with (
        SimulatorProcess(**options) as process,
        httpx.Client(base_url=process.url + "/v1", headers=HEADERS) as client,
    ):
        assert len(client.get("/subscriptions?status=all&limit=100").json()["data"]) == 7
        assert len(client.get("/payouts").json()["data"]) == 3
        responses, seconds = [], []
        for _ in range(4):
            began = time.monotonic()
            responses.append(client.get("/customers/cus_x"))
            seconds.append(time.monotonic() - began)
        assert 0.14 < min(seconds) < 2 * 0.14  # errors wait, too, and once
        assert 429 in [response.status_code for response in responses]


def test_an_empty_stripe_lists_nothing_and_takes_writes():
    with (
        SimulatorProcess(customers=0) as process,
        httpx.Client(base_url=process.url + "/v1", headers=HEADERS) as client,
    ):
        for path in ("/customers", "/subscriptions", "/invoices", "/charges", "/prices", "/plans"):
            assert client.get(path).json()["data"] == []
        customer = client.post("/customers", data={"email": "first@example.com"}).json()["id"]
        price = client.post(
            "/prices",
            data={
                "currency": "usd",
                "unit_amount": 5,
                "product_data[name]": "Tea",
                "recurring[interval]": "month",
            },
        ).json()["id"]
        subscription = client.post(
            "/subscriptions",
            data={"customer": customer, "items[0][price]": price, "trial_period_days": 14},
        ).json()
        assert subscription["items"]["data"][0]["price"]["id"] == price
        assert client.get("/subscriptions", params={"price": price}).json()["data"] == [subscription]
        assert client.get("/customers").json()["data"][0]["email"] == "first@example.com"
