from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
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
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
    ]
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run([*command, "subjectAltName=DNS:localhost", *files], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture
def secure(server: Any, certificate: Path) -> Iterator[str]:
    """The same server behind TLS, with a certificate of no known authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = server._server.socket
    server._server.socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    yield f"https://localhost:{server._server.server_address[1]}"
    server._server.socket.close()


def test_an_untrusted_certificate_gets_no_key(make_client: Any, server: Any, secure: str) -> None:
    client = make_client(api_base=secure)
    with pytest.raises(ConnectionFailedError, match="certificate"):
        client.fetch(ONE, check=never)
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


def test_a_proxy_that_refuses_is_one_clear_error_without_its_password(
    make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
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
                    connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("https_proxy", raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pr0xy%2Dpass@127.0.0.1:{port}")
        with pytest.raises(ConnectionFailedError, match="proxy") as caught:
            make_client(api_base="https://api.stripe.test", timeout=1.0).fetch(ONE, check=never)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert "pr0xy-pass" not in str(caught.value)
    assert asked
    assert asked[0].startswith(b"CONNECT api.stripe.test:443")
    assert b64encode(b"me:pr0xy-pass") in asked[0]
    assert b"sk_test" not in b"".join(asked)


def test_a_loopback_base_needs_no_proxy(
    make_client: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert make_client().fetch(ONE, check=never).body["id"] == "cus_1"
