from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stripe_fdw.api.request import Request
from stripe_fdw.errors import ConnectionFailedError, Interrupted
from support.waiting import hang_guard

ONE = Request.of("GET", "/v1/customers/{customer}", customer="cus_1")


def never() -> None:
    """The interrupt check of a query that is never cancelled."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"), days=2)


def make_certificate(directory: Path, *, days: int) -> Path:
    """Make a key and a certificate for localhost, signed by itself; return the file that holds both.

    With fewer than no days it has expired.
    """
    path, request, certificate = (directory / name for name in ("both.pem", "request.csr", "both.crt"))
    (directory / "index").touch()
    config = directory / "ca.cnf"
    config.write_text(
        f"[ca]\ndefault_ca = here\n[here]\ndatabase = {directory}/index\nnew_certs_dir = {directory}\n"
        "rand_serial = yes\ndefault_md = sha256\npolicy = any\nx509_extensions = names\n"
        "[any]\ncommonName = supplied\n[names]\nsubjectAltName = DNS:localhost\nbasicConstraints = CA:TRUE\n"
    )
    ends = datetime.now(UTC) + timedelta(days=days)
    dates = [f"{moment:%Y%m%d%H%M%SZ}" for moment in (ends - timedelta(days=4), ends)]
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(path), "-subj", "/CN=localhost"]
    signed = ["-selfsign", "-keyfile", str(path), "-startdate", dates[0], "-enddate", dates[1]]
    files = ["-config", str(config), "-in", str(request), "-out", str(certificate)]
    for command in (["req", "-new", *key, "-out", str(request)], ["ca", "-batch", *signed, *files]):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    path.write_text(path.read_text() + certificate.read_text())
    return path


@pytest.fixture
def secure(server: Any, certificate: Path) -> Iterator[str]:
    """The same server behind TLS, with a certificate of no known authority."""
    with behind_tls(server, certificate) as address:
        yield address


@contextmanager
def behind_tls(server: Any, certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = server._server.socket
    server._server.socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    yield f"https://localhost:{server._server.server_address[1]}"
    server._server.socket.close()


def failure(client: Any) -> ConnectionFailedError:
    """Return the error of a request, which has been sent once: a retry would fail as well."""
    with pytest.raises(ConnectionFailedError) as caught:
        client.fetch(ONE, check=never)
    assert "attempts" not in str(caught.value)
    return caught.value


def test_an_untrusted_certificate_gets_no_key(make_client: Any, server: Any, secure: str) -> None:
    error = failure(make_client(api_base=secure))
    assert "its certificate cannot be accepted" in str(error)
    assert "SSL_CERT_FILE" in str(error.hint)
    assert not server.got


def test_a_certificate_for_another_name_is_refused(
    make_client: Any, server: Any, secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    error = failure(make_client(api_base=secure.replace("localhost", "127.0.0.1")))
    assert "its certificate cannot be accepted" in str(error)
    assert "api_base must name the host as its certificate does" in str(error.hint)
    assert not server.got


def test_an_expired_certificate_is_refused(
    make_client: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = make_certificate(tmp_path, days=-1)
    monkeypatch.setenv("SSL_CERT_FILE", str(expired.with_suffix(".crt")))
    with behind_tls(server, expired) as address:
        error = failure(make_client(api_base=address))
    assert "certificate has expired" in str(error.detail)
    assert "clock of the database host" in str(error.hint)
    assert not server.got


def test_plain_http_behind_an_https_address_is_tried_once(make_client: Any, server: Any) -> None:
    address = f"https://localhost:{server._server.server_address[1]}"
    error = failure(make_client(api_base=address))
    assert f"no response from {address.removeprefix('https://')}: it speaks no TLS" in str(error)
    assert "plain HTTP" in str(error.hint)
    assert not server.got


def test_over_tls_it_reads_and_can_be_cancelled(
    make_client: Any,
    server: Any,
    reply: Any,
    secure: str,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    client = make_client(api_base=secure)
    assert client.fetch(ONE, check=never).body["id"] == "cus_1"
    server.answer = lambda got: reply(delay=20)
    began = time.monotonic()

    def cancel() -> None:
        if time.monotonic() > began + 0.2:
            raise Interrupted("canceling statement due to user request")

    with hang_guard(), pytest.raises(Interrupted):
        client.fetch(ONE, check=cancel)
    server.answer = lambda got: reply({"object": "customer", "id": "cus_2"})
    assert client.fetch(ONE, check=never).body["id"] == "cus_2"


@contextmanager
def proxy_that_refuses(status: str) -> Iterator[tuple[int, list[bytes]]]:
    """Answer each request with this status; yield the port, and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(10_000))
                    connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def use_proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(address: str) -> None:
        for name in ("no_proxy", "NO_PROXY", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", address)

    return use


@pytest.mark.parametrize(
    ("status", "summary", "hint"),
    [
        ("407 Proxy Authentication Required", "wants another user or password", "http://user:password@"),
        ("403 Forbidden", "refuses to connect to it", "NO_PROXY"),
    ],
)
def test_a_proxy_that_refuses_is_one_clear_error_without_its_password(
    make_client: Any, use_proxy: Callable[[str], None], status: str, summary: str, hint: str
) -> None:
    with proxy_that_refuses(status) as (port, asked):
        use_proxy(f"http://me:pr0xy%2Dpass@127.0.0.1:{port}")
        error = failure(make_client(api_base="https://api.stripe.test", timeout=5.0))
    assert f"the proxy named in HTTPS_PROXY {summary}" in str(error)
    assert hint in str(error.hint)
    assert f"the proxy answered {status[:3]}" in str(error.detail)
    assert not re.search("pr0xy.*pass", f"{error}{error.detail}{error.hint}")
    assert len(asked) == 1
    assert asked[0].startswith(b"CONNECT api.stripe.test:443")
    assert b64encode(b"me:pr0xy-pass") in asked[0]
    assert b"sk_test" not in asked[0]


def test_a_proxy_that_is_out_of_order_is_asked_again(
    make_client: Any, use_proxy: Callable[[str], None]
) -> None:
    with proxy_that_refuses("503 Service Unavailable") as (port, asked):
        use_proxy(f"http://127.0.0.1:{port}")
        with pytest.raises(ConnectionFailedError, match="attempts"):
            make_client(api_base="https://api.stripe.test", timeout=1.5).fetch(ONE, check=never)
    assert len(asked) > 1


def test_a_proxy_that_cannot_be_reached_is_named(make_client: Any, use_proxy: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    use_proxy(f"http://127.0.0.1:{port}")
    with pytest.raises(ConnectionFailedError, match="HTTPS_PROXY cannot be reached") as caught:
        make_client(api_base="https://api.stripe.test", timeout=1.0).fetch(ONE, check=never)
    assert "connection refused by the proxy" in str(caught.value.detail)
    assert "NO_PROXY" in str(caught.value.hint)


def test_a_loopback_base_needs_no_proxy(
    make_client: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert make_client().fetch(ONE, check=never).body["id"] == "cus_1"
