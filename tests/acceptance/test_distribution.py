"""The built distributions: a wheel made from the source distribution works in a clean environment."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.devstack.stack import host_environment
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_fdw.version import __version__
from stripe_simulator.process import SimulatorProcess
from support.database import KEY
from support.simulators import Simulators

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "sql").rglob("*.sql"))


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with no setting of this package's; return what it prints."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STRIPE", "PYTHON")) and name != "DATABASE_URL"
    }
    completed = subprocess.run(
        list(map(str, command)), capture_output=True, check=False, cwd=cwd, env=environment, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def build(target: str, source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    (built,) = folder.iterdir()
    return built


@dataclass(frozen=True)
class Distributions:
    source: Path  # .tar.gz
    wheel: Path  # made from it, not from the checkout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    folder = tmp_path_factory.mktemp("distributions")
    source = build("sdist", ROOT, folder / "source")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return Distributions(source, build("wheel", folder / f"stripe_fdw-{__version__}", folder / "wheel"))


@pytest.fixture(scope="module")
def command(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has the wheel, and everything else from this one."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, distributions.wheel, cwd=environment)
    # Dependencies are taken from where the tests run, so that nothing is downloaded. Their path comes after
    # the new environment's own. Its .pth files, one of which leads to the checkout, are not read.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    location = run(python, "-c", "import stripe_fdw; print(stripe_fdw.__file__)", cwd=environment)
    assert Path(location.strip()).is_relative_to(packages)
    return environment / "bin" / "stripe-fdw"


def test_both_hold_every_sql_script(distributions: Distributions) -> None:
    assert "sql/live_call.sql" in SCRIPTS
    with tarfile.open(distributions.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert [script for script in SCRIPTS if script not in names] == []
    with zipfile.ZipFile(distributions.wheel) as archive:
        scripts = [name for name in archive.namelist() if name.startswith("stripe_fdw/sql/")]
    assert sorted(scripts) == [f"stripe_fdw/{script}" for script in SCRIPTS]


def test_the_wheel_holds_what_the_checkout_has(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        names = set(archive.namelist())
    for package in ("stripe_fdw", "stripe_simulator"):
        for path in (ROOT / "src" / package).rglob("*"):
            if path.is_file() and path.suffix not in (".pyc", ".o", ".so", ".bc"):
                assert path.relative_to(ROOT / "src").as_posix() in names


def test_the_installed_wheel_finds_its_sql(command: Path, tmp_path: Path) -> None:
    program = (
        "from stripe_fdw.database.sql_scripts import read_scripts\n"
        "folders = ((), ('copies',), ('events',), ('multicorn2',), ('servers',), ('write_through',))\n"
        "print(sum(len([*read_scripts(*folder)]) for folder in folders))"
    )
    assert run(command.with_name("python"), "-c", program, cwd=tmp_path) == f"{len(SCRIPTS)}\n"


def test_the_installed_command_prints_its_version(command: Path, tmp_path: Path) -> None:
    assert run(command, "--version", cwd=tmp_path).startswith(f"stripe-fdw {__version__}, Stripe API ")


def test_the_installed_command_shows_the_catalog(command: Path, tmp_path: Path) -> None:
    assert "subscription" in run(command, "catalog", cwd=tmp_path)
    assert "finalize" in run(command, "catalog", "invoice", cwd=tmp_path)


# -- from the wheel to an uninstalled database ------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A Postgres of its own that has the wheel's host, and the command that has installed it."""

    cluster: Cluster
    command: Path
    stripe: SimulatorProcess

    @property
    def folders(self) -> tuple[str, ...]:
        """The options that name the folders of its extensions."""
        tree = self.cluster.tree
        return "--pkglibdir", str(tree.pkglibdir), "--extensiondir", str(tree.extensiondir)

    def run(self, *arguments: str, code: int = 0, database: str = "postgres") -> str:
        """Run the command; return what it prints."""
        environment = {
            "DATABASE_URL": self.cluster.dsn(database),
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": self.stripe.url,
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(
            [self.command, *arguments],
            capture_output=True,
            check=False,
            cwd="/",
            env=environment,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(
    command: Path, simulators: Simulators, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("server")
    system = PostgresInstallation.find()
    # Where --destdir puts files for this system, so that it is compiled once.
    common = Path(os.path.commonpath([system.bindir, system.sharedir, system.pkglibdir]))
    tree = PrivateInstallation(root / "tree" / common.relative_to("/"), system)
    tree.build()
    for file in (tree.pkglibdir / "stripe_fdw.so", *tree.extensiondir.glob("stripe_fdw*")):
        file.unlink(missing_ok=True)  # links to those of the system, if it has some
    run(command, "host", "install", "--pg-config", system.pg_config, "--destdir", root / "tree", cwd=root)
    shared = ("STRIPE_FDW_SHARED_DIRECTORY", str(root / "shared"))
    cluster = Cluster(root / "cluster", tree, environment=(*host_environment(), shared))
    cluster.initialize()
    cluster.start()
    yield Server(cluster, command, simulators("distribution", customers=5, seed=3))
    cluster.stop()


@pytest.fixture
def tables(server: Server) -> Server:
    """The server with foreign tables in the database postgres."""
    with psycopg.connect(server.cluster.dsn(), autocommit=True) as session:
        missing = session.execute("select to_regclass('stripe_live.product') is null").fetchone() == (True,)
    if missing:
        server.run("init")
    return server


def installed(server: Server) -> list[Path]:
    tree = server.cluster.tree
    return [file for folder in (tree.pkglibdir, tree.extensiondir) for file in folder.glob("stripe_fdw*")]


@pytest.fixture
def put_back(server: Server) -> Iterator[None]:
    """Install the host's files again after a test that removes them."""
    files = {file: (file.read_bytes(), file.stat().st_mode) for file in installed(server)}
    yield
    for file, (content, mode) in files.items():
        if not file.exists():
            file.write_bytes(content)
            file.chmod(mode)


def test_the_installed_command_installs_the_host(server: Server) -> None:
    assert {file.name for file in installed(server)} == {
        "stripe_fdw.so", "stripe_fdw.control", "stripe_fdw--0.1.sql"
    }  # fmt: skip
    user = pwd.getpwuid(os.geteuid()).pw_name
    pg_config = server.cluster.tree.system.pg_config
    checked = server.run("host", "check", "--pg-config", pg_config, "--server-user", user, *server.folders)
    assert "BAD" not in checked


@pytest.fixture
def new_database(server: Server) -> Iterator[str]:
    """An empty database, dropped with the test."""
    with psycopg.connect(server.cluster.dsn(), autocommit=True) as session:
        session.execute("create database new")
        yield "new"
        session.execute("drop database new with (force)")


def test_the_installed_host_serves_tables(server: Server, new_database: str) -> None:
    assert "created server stripe" in server.run("init", database=new_database)
    assert "nothing to do" in server.run("init", database=new_database)
    with psycopg.connect(server.cluster.dsn(new_database), autocommit=True) as session:
        customers = session.execute(
            "select count(*) from stripe_live.customer where name is distinct from 'Ada'"
        )
        assert customers.fetchone() == (5,)
        assert session.execute(
            "insert into stripe_live.customer (name) values ('Ada') returning name"
        ).fetchone()


def test_between_an_upgrade_and_the_next_installation_of_the_host_an_error_says_what_to_run(
    tables: Server,
) -> None:
    (package,) = tables.command.parents[1].glob("lib/python*/site-packages/stripe_fdw")
    source, mark = package / "host" / "c" / "scan.c", package / "__init__.py"
    before, times = source.read_bytes(), mark.stat()
    dsn = tables.cluster.dsn()
    with psycopg.connect(dsn, autocommit=True) as running, psycopg.connect(dsn, autocommit=True) as writing:
        for session in (running, writing):
            assert session.execute("select count(*) from stripe_live.product").fetchone() != (0,)
        source.write_bytes(before + b"\n")
        os.utime(mark, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        try:
            with psycopg.connect(dsn, autocommit=True) as new, pytest.raises(psycopg.Error) as refused:
                new.execute("select from stripe_live.customer")
            # What it has loaded, an open session goes on with; it does not mix it with what is new.
            assert running.execute("select count(*) from stripe_live.product").fetchone() != (0,)
            with pytest.raises(psycopg.Error) as mixed:
                writing.execute("insert into stripe_live.customer (name) values ('Eve')")
        finally:
            source.write_bytes(before)
            os.utime(mark, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "was compiled from another build of version" in str(refused.value.diag.message_primary)
    assert (
        refused.value.diag.message_hint == f'Run "{tables.command} host install" as root, then connect again.'
    )
    assert "was installed anew while this session had it loaded" in str(mixed.value)
    assert mixed.value.diag.message_hint == "Connect again."
    with psycopg.connect(dsn, autocommit=True) as session:
        assert session.execute("select count(*) from stripe_live.customer where name = 'Eve'").fetchone() == (
            0,
        )


def test_sessions_of_a_server_that_preloads_the_package_refuse_one_that_was_installed_anew(
    tables: Server,
) -> None:
    """They would import what they lack from the new version."""
    (mark,) = tables.command.parents[1].glob("lib/python*/site-packages/stripe_fdw/version.py")
    dsn, times = tables.cluster.dsn(), mark.stat()
    query = "select count(*) from stripe_live.product"

    def restart_after(change: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute(f"alter system {change}".encode())
        tables.cluster.stop()
        tables.cluster.start()

    restart_after("set shared_preload_libraries = stripe_fdw")
    with psycopg.connect(dsn, autocommit=True) as running:
        assert running.execute(query).fetchone() != (0,)
        os.utime(mark, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        try:
            with psycopg.connect(dsn, autocommit=True) as session, pytest.raises(psycopg.Error) as refused:
                session.execute(query)
        finally:
            os.utime(mark, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert running.execute(query).fetchone() != (0,)
    diag = refused.value.diag
    assert diag.message_primary == "the stripe-fdw package was installed anew after the server had started"
    assert "restart the server" in str(diag.message_hint)
    with psycopg.connect(dsn, autocommit=True) as session:
        assert session.execute(query).fetchone() != (0,)
    restart_after("reset shared_preload_libraries")


def test_it_is_removed_from_the_database_and_then_from_the_server(tables: Server, put_back: None) -> None:
    refused = tables.run("host", "uninstall", *tables.folders, code=1)
    assert "the extension stripe_fdw is in use: database postgres" in refused
    assert len(installed(tables)) == 3
    assert "dropped extension stripe_fdw" in tables.run("uninstall", "--yes")
    assert "not installed in this database" in tables.run("uninstall", "--yes")
    assert tables.run("host", "uninstall", *tables.folders).count("removed ") == 3
    assert installed(tables) == []
    assert "nothing to do" in tables.run("host", "uninstall", *tables.folders)
    assert "hint: Install it there with `stripe-fdw host install`." in tables.run("init", code=1)
