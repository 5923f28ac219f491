"""When Python cannot start, the error says so and what to do; the session and the server go on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.host.install import install
from stripe_fdw.host.package_files import build_identity
from stripe_fdw.host.postgres_installation import PostgresInstallation
from support.installed_host import compiled_once

Host = Callable[[str], psycopg.Connection]


@pytest.fixture
def with_python(hostile_cluster: Cluster, tmp_path: Path) -> Iterator[Host]:
    """A session whose module was built for the Python given; server ``broken`` uses it."""
    opened: list[psycopg.Connection] = []

    def build(python: str) -> psycopg.Connection:
        with compiled_once():
            install(PostgresInstallation.find(), python=python, pkglibdir=tmp_path, extensiondir=tmp_path)
        connection = psycopg.connect(hostile_cluster.dsn(), autocommit=True)
        opened.append(connection)
        connection.execute("drop foreign data wrapper if exists broken cascade")
        connection.execute("drop function if exists broken_handler")
        module = tmp_path / "stripe_fdw.so"
        connection.execute(
            "create function broken_handler() returns fdw_handler language c "
            f"as '{module}', 'stripe_fdw_handler'"
        )
        connection.execute("create foreign data wrapper broken handler broken_handler")
        connection.execute("create server broken foreign data wrapper broken")
        connection.execute("create foreign table broken_table (id text) server broken")
        return connection

    yield build
    for connection in opened:
        connection.close()


def failing(connection: psycopg.Connection) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute("select * from broken_table")
    assert connection.execute("select 1").fetchone() == (1,)
    return caught.value


def test_a_venv_that_is_gone(with_python: Host, pytestconfig: pytest.Config, db: psycopg.Connection) -> None:
    # Always the same place, so that what is compiled for it is kept.
    venv = pytestconfig.rootpath / "build" / "venv_that_is_gone"
    shutil.rmtree(venv, ignore_errors=True)
    (venv / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
    (venv / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    connection = with_python(str(venv / "bin" / "python"))
    shutil.rmtree(venv)
    error = failing(connection)
    assert f"the server cannot run {venv}/bin/python: No such file or directory" in str(error)
    assert "host check" in str(error.diag.message_hint)
    assert failing(connection).diag.message_primary == error.diag.message_primary


def test_a_python_without_the_package(with_python: Host, db: psycopg.Connection) -> None:
    connection = with_python(str(Path(sys.executable).resolve()))
    assert "No module named 'stripe_fdw'" in str(failing(connection))
    assert "could not start Python in this session" in str(failing(connection))


def test_a_host_that_was_compiled_from_another_build(
    with_python: Host, hostile_cluster: Cluster, tmp_path: Path, db: psycopg.Connection
) -> None:
    """As between an upgrade of the package and ``host install``: one error that says what to run."""
    with_python(sys.executable)
    module = tmp_path / "stripe_fdw.so"
    compiled = module.read_bytes()
    version, _, digest = build_identity().partition("+")
    for other, message in (
        (f"{version}+{digest[::-1]}", f"from another build of version {version} of the package"),
        (version, f"from another build of version {version} of the package"),  # as before hashes were taken
        ("0.0.9", f"from version 0.0.9 of the package, but {version} is installed"),
    ):
        (tmp_path / "new").write_bytes(
            compiled.replace(
                build_identity().encode() + b"\0", other.encode().ljust(len(build_identity()) + 1, b"\0")
            )
        )
        (tmp_path / "new").rename(module)
        with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as connection:
            error = failing(connection)
            assert message in str(error.diag.message_primary)
            program = Path(sys.executable).with_name("stripe-fdw")
            assert error.diag.message_hint == f'Run "{program} host install" as root, then connect again.'
            assert "could not start Python in this session" in str(failing(connection))


def test_two_pythons_in_a_session_are_refused(with_python: Host, db: psycopg.Connection) -> None:
    connection = with_python(sys.executable)
    connection.execute("select * from t")
    error = failing(connection)
    assert "another extension has loaded it in this session" in str(error)
    assert connection.execute("select count(*) from t").fetchone() == (3,)
