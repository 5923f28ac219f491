"""Where another user holds the place of the shared file, the sessions of a server share one of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack import private_postgres
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.devstack.stack import host_environment
from stripe_fdw.shared.memory import _FILE_NAME
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, count

# A machine of its own as far as shared memory is concerned, where another OS user made the directory first.
OCCUPIED = 'mount -t tmpfs none /dev/shm && mkdir -m 755 /dev/shm/stripe-fdw-0 && exec "$@"'
MACHINE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", OCCUPIED, "sh"]

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*MACHINE, "true"], capture_output=True, check=False).returncode != 0,
    reason="this system has no user namespaces",
)


@pytest.fixture
def occupied(
    tree: PrivateInstallation,
    simulator: SimulatorProcess,
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cluster]:
    """A server without a setting for the directory, on such a machine."""
    user = private_postgres._unprivileged_user()
    as_user = ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}"]
    monkeypatch.setattr(private_postgres, "unprivileged", lambda: [*MACHINE, *as_user])
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp"))  # not in /dev/shm
        cluster = Cluster(Path(directory), tree, environment=host_environment())
        cluster.initialize()
        cluster.start()
        stack.callback(cluster.stop)
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            options = {
                "api_base": simulator.url,
                "max_requests_per_second": "10000",
                "cache_ttl": "600",
            }
            install_into(connection, InstallPlan(host=host, server_options=options, mapping={"api_key": KEY}))
        yield cluster


def test_its_sessions_share_a_file_in_its_data_directory_and_warn_once(
    occupied: Cluster, simulator: SimulatorProcess
) -> None:
    warnings: list[str] = []
    with (
        psycopg.connect(occupied.dsn(), autocommit=True) as first,
        psycopg.connect(occupied.dsn(), autocommit=True) as second,
    ):
        first.add_notice_handler(lambda diag: warnings.append(f"{diag.severity} {diag.message_primary}"))

        def requests() -> int:
            simulator.control("DELETE", "/requests")
            assert count(first, "select count(*) from stripe_live.product") > 0
            return len(simulator.requests())

        assert requests() > 0
        assert requests() == 0  # from the cache
        second.execute("select stripe_sync.invalidate('product')")
        assert requests() > 0
    assert warnings == [
        'WARNING the shared directory "/dev/shm/stripe-fdw-0" cannot be used: '
        "others can open it: its mode must be 0700"
    ]
    assert [file.name for file in (occupied.data / "pg_stat_tmp" / "stripe_fdw").iterdir()] == [_FILE_NAME]
