"""User mappings: any role may set its own key, but only some may have the server read a file or variable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Servers, count, refused, said

Acting = Callable[[], AbstractContextManager[None]]
OPTIONS = {"api_key_file": "/etc/hostname", "api_key_env": "HOME"}


@pytest.fixture
def bundled(host: str) -> None:
    """Multicorn has no validator for user mappings."""
    if host != "bundled":
        pytest.skip("Multicorn lets every role with USAGE set any option")


@pytest.fixture
def ordinary(db: psycopg.Connection) -> Iterator[Acting]:
    """Act as a role that may use servers and nothing else."""
    db.execute("create role ordinary")

    @contextmanager
    def acting() -> Iterator[None]:
        db.execute("set role ordinary")
        try:
            yield
        finally:
            db.execute("reset role")

    yield acting
    db.execute("drop owned by ordinary cascade; drop role ordinary")


@pytest.fixture
def server(db: psycopg.Connection, servers: Servers, simulator: SimulatorProcess, ordinary: Acting) -> str:
    """A server that the ordinary role may use."""
    server = servers("customer", api_base=simulator.url)
    db.execute(f"grant usage on foreign server {server.name} to ordinary")
    db.execute(f"grant usage on schema {server.name} to ordinary")
    db.execute(f"grant select on {server.table('customer')} to ordinary")
    return server.name


@pytest.mark.usefixtures("bundled")
@pytest.mark.parametrize("option", OPTIONS)
def test_an_ordinary_role_cannot_have_files_and_variables_read(
    db: psycopg.Connection, server: str, ordinary: Acting, option: str
) -> None:
    mapping = f"user mapping for current_user server {server} options"
    with ordinary():
        error = refused(lambda: db.execute(f"create {mapping} ({option} '{OPTIONS[option]}')"))
        assert error.sqlstate == "42501"
        assert f"permission denied to set the option {option}" in said(error)
        assert "others set api_key" in said(error)
        db.execute(f"create {mapping} (api_key 'sk_test_ordinary00000000')")
        change = f"alter {mapping} (drop api_key, add {option} '{OPTIONS[option]}')"
        assert refused(lambda: db.execute(change)).sqlstate == "42501"
        assert count(db, f"select count(*) from {server}.customer") > 0


@pytest.mark.usefixtures("bundled")
def test_a_role_that_may_read_files_may_name_one(
    db: psycopg.Connection, server: str, ordinary: Acting, tmp_path: Path
) -> None:
    db.execute("grant pg_read_server_files to ordinary")
    key = tmp_path / "key"
    key.write_text("sk_test_ordinary00000000\n")
    key.chmod(0o600)
    mapping = f"user mapping for current_user server {server} options"
    with ordinary():
        assert refused(lambda: db.execute(f"create {mapping} (api_key_env 'HOME')")).sqlstate == "42501"
        db.execute(f"create {mapping} (api_key_file '{key}')")
        assert count(db, f"select count(*) from {server}.customer") > 0


def test_a_superuser_s_mapping_serves_the_role_that_it_is_for(
    db: psycopg.Connection, server: str, ordinary: Acting, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("sk_test_ordinary00000000\n")
    key.chmod(0o600)
    db.execute(f"create user mapping for ordinary server {server} options (api_key_file '{key}')")
    with ordinary():
        assert count(db, f"select count(*) from {server}.customer") > 0


def test_a_file_that_holds_no_key_is_not_shown(
    db: psycopg.Connection, server: str, ordinary: Acting, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("root:secret\nother:hidden\n")
    key.chmod(0o600)
    db.execute(f"create user mapping for ordinary server {server} options (api_key_file '{key}')")
    with ordinary():
        text = said(refused(lambda: db.execute(f"select * from {server}.customer")))
    assert "does not hold an API key" in text
    assert not {"root", "secret", "other:", "hidden"} & set(text.split())
    assert "secret" not in text
