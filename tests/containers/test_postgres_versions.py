"""The bundled host on every supported version of PostgreSQL, in the official images.

The tests are skipped without a Docker engine. Each image compiles the host from this checkout with its own
headers, as `stripe-fdw host install` does for a user.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer

ROOT = Path(__file__).parents[2]
VERSIONS = (14, 15, 16, 17, 18)

# The image starts its server twice: only the second one listens on TCP.
READY = "for _ in $(seq 300); do pg_isready -q -h 127.0.0.1 && exit; sleep 0.2; done; exit 1"
INSTALL = """
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends gcc libc6-dev make python3-dev python3-venv \
    postgresql-server-dev-$PG_MAJOR
mkdir /src
cd /checkout
tar c --exclude=.venv --exclude=.dev --exclude=build --exclude=.git . | tar x -C /src
python3 -m venv /venv
/venv/bin/pip install --quiet '/src[simulator]'
/venv/bin/stripe-fdw host install --pg-config /usr/lib/postgresql/$PG_MAJOR/bin/pg_config
chmod -R a+rX /venv
(setsid /venv/bin/stripe-fdw simulator --port 12111 --customers 300 >/tmp/simulator.log 2>&1 &)
for _ in $(seq 100); do grep -q listening /tmp/simulator.log && break; sleep 0.1; done
"""
INIT = """
set -eu
export DATABASE_URL="postgresql://postgres@/postgres" STRIPE_API_BASE=http://127.0.0.1:12111
export STRIPE_API_KEY=sk_test_containers
runuser -u postgres -- /venv/bin/stripe-fdw init --option max_requests_per_second=10000
"""
SLOW = """
import urllib.request
body = b'{"ms": 3000}'
request = urllib.request.Request("http://127.0.0.1:12111/_simulator/latency", body, method="POST")
urllib.request.urlopen(request).read()
"""


ENGINE = bool(os.environ.get("DOCKER_HOST")) or Path("/var/run/docker.sock").exists()
pytestmark = [
    pytest.mark.skipif(not ENGINE, reason="no Docker engine: neither DOCKER_HOST nor /var/run/docker.sock"),
    pytest.mark.timeout(900),
]


def run(container: DockerContainer, script: str) -> str:
    result = container.exec(["bash", "-c", script])
    output = result.output.decode(errors="replace")
    assert result.exit_code == 0, output
    return output


def query_output(container: DockerContainer, query: str) -> str:
    return run(
        container,
        f"psql -v ON_ERROR_STOP=1 -U postgres -XAt <<'SQL'\n{query}\nSQL",
    ).strip()


@pytest.fixture(scope="module", params=VERSIONS)
def postgres(request: pytest.FixtureRequest) -> Iterator[DockerContainer]:
    """A server of this version with everything installed."""
    container = DockerContainer(f"postgres:{request.param}-bookworm")
    container.with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    container.with_volume_mapping(str(ROOT), "/checkout", "ro")
    with container:
        run(container, READY)
        run(container, INSTALL)
        run(container, INIT)
        yield container


def test_tables_are_installed_and_return_rows(postgres: DockerContainer) -> None:
    assert int(query_output(postgres, "select count(*) from stripe_live.customer;")) > 200


def test_filters_sorts_and_limits_are_pushed(postgres: DockerContainer) -> None:
    plan = query_output(
        postgres,
        "explain select id from stripe_live.subscription where customer = 'cus_123' and status = 'active';",
    )
    assert "GET /v1/subscriptions?customer=cus_123&status=active&limit=100" in plan
    plan = query_output(postgres, "explain select id from stripe_live.invoice order by created desc limit 3;")
    assert "limit=3" in plan
    assert "Sort" not in plan


def test_a_parameterised_join_gives_the_rows_of_a_hash_join(postgres: DockerContainer) -> None:
    query = (
        "select count(*), count(distinct c.id) from stripe_live.subscription s"
        " join stripe_live.customer c on c.id = s.customer;"
    )
    without_hash_joins = "set enable_hashjoin = off; set enable_mergejoin = off;"
    assert (
        query_output(postgres, query)
        == query_output(postgres, f"{without_hash_joins} {query}").splitlines()[-1]
    )


def test_a_timeout_ends_the_query_and_not_the_server(postgres: DockerContainer) -> None:
    started = query_output(postgres, "select pg_postmaster_start_time();")
    run(postgres, "/venv/bin/python - <<'PYTHON'\n" + SLOW + "\nPYTHON")
    output = query_output(
        postgres,
        "set statement_timeout = 300;"
        " do $$ begin perform count(*) from stripe_live.customer;"
        " exception when query_canceled then raise notice 'cancelled'; end $$;"
        " select 'alive';",
    )
    assert "cancelled" in output
    assert output.endswith("alive")
    assert query_output(postgres, "select pg_postmaster_start_time();") == started
