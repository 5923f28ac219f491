"""Django and SQLAlchemy: what they see of live tables and copies, and the rows that they read and write."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import sqlalchemy
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session

from .conftest import COPIED, ToolsDatabase

SETTINGS = """
def database(path):
    return {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": {name!r}, "HOST": {host!r}, "PORT": {port!r}, "USER": {user!r},
        "OPTIONS": {{"options": f"-c search_path={{path}}"}},
    }}

DATABASES = {{"default": database("stripe_live"), "copies": database("stripe")}}
SECRET_KEY, USE_TZ, INSTALLED_APPS = "test", True, ["shop"]
"""
# As docs/how-to/tools.md says: comments that Django breaks at their lines, and the key of each model.
COMMENTS = (r"(?m)^(DETAIL|HINT):", r"# \1:")
KEYS = (
    r"(?m)^    id = models\.TextField\(.*\)",
    '    id = models.TextField(primary_key=True, db_default="")',
)


class Project:
    """A Django project in a folder, over the live tables (`default`) and the copies."""

    def __init__(self, folder: Path, tools: ToolsDatabase) -> None:
        self.folder = folder
        parts = urlsplit(tools.dsn)
        query = parse_qs(parts.query)
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").touch()
        (folder / "settings.py").write_text(
            SETTINGS.format(
                name=parts.path.lstrip("/"),
                host=unquote(query["host"][0]),
                port=query.get("port", [""])[0],
                user=parts.username or query.get("user", [""])[0],
            )
        )

    def run(self, *arguments: str) -> str:
        """Run Python with these arguments in the project, and return what it prints."""
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=self.folder,
            env=environment,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, script: str) -> list[str]:
        """Run statements after Django's set-up, and return the lines that they print."""
        return self.run(
            "-c", f"import django; django.setup(); from shop import models\n{script}"
        ).splitlines()


@pytest.fixture(scope="module")
def project(tools: ToolsDatabase, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("django"), tools)


@pytest.fixture(scope="module")
def inspected(project: Project) -> str:
    """The models of all live tables."""
    return project.run("-m", "django", "inspectdb")


def test_django_makes_importable_models_of_all_live_tables(project: Project, inspected: str) -> None:
    text = re.sub(*KEYS, re.sub(*COMMENTS, inspected))
    (project.folder / "shop" / "models.py").write_text(text)
    classes = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    assert len(classes) > 100
    assert {"Customer", "Subscription", "Invoice", "CheckoutSession"} <= classes
    # Those that only a condition reads are named, with the reason.
    assert "# Unable to inspect table 'card'" in text
    assert "can only be read with a condition on customer or account" in text
    printed = project.shell("print(models.Customer._meta.pk.name, models.Subscription._meta.db_table)")
    assert printed == ["id subscription"]


def test_django_gets_creates_updates_and_deletes_live_rows(project: Project, inspected: str) -> None:
    text = re.sub(*KEYS, re.sub(*COMMENTS, inspected))
    (project.folder / "shop" / "models.py").write_text(text)
    printed = project.shell(
        """
Customer = models.Customer
made = Customer.objects.create(email="ada@example.com", name="Ada")
print(made.pk.startswith("cus_"))
print(Customer.objects.get(pk=made.pk).name)
print(Customer.objects.filter(pk=made.pk).update(name="Grace"))
print(Customer.objects.get(email="ada@example.com").name)
print(Customer.objects.get(pk=made.pk).delete()[0])
print(Customer.objects.filter(pk=made.pk, deleted__isnull=True).exists())
"""
    )
    assert printed == ["True", "Ada", "1", "Grace", "1", "False"]


def test_a_text_key_without_a_default_is_created_too(project: Project, inspected: str) -> None:
    """Django writes '' for it."""
    text = re.sub(*KEYS, re.sub(*COMMENTS, inspected)).replace(', db_default=""', "")
    (project.folder / "shop" / "models.py").write_text(text)
    printed = project.shell(
        """
print(repr(models.Customer.objects.create(email="empty@example.com").pk))
print(models.Customer.objects.get(email="empty@example.com").pk.startswith("cus_"))
"""
    )
    assert printed == ["''", "True"]


def test_django_makes_importable_models_of_copies_without_a_request(
    project: Project, tools: ToolsDatabase
) -> None:
    tools.requests()
    text = project.run("-m", "django", "inspectdb", "--database", "copies", "--include-views")
    (project.folder / "shop" / "models.py").write_text(re.sub(*KEYS, text))
    printed = project.shell(
        """
for model in (models.Customer, models.Price, models.Subscription):
    print(model.objects.using("copies").order_by("pk").first() is not None)
"""
    )
    assert printed == ["True"] * len(COPIED)
    assert "Unable to inspect" not in text
    assert tools.requests() == 0


@pytest.fixture
def engine(tools: ToolsDatabase):
    engine = sqlalchemy.create_engine(tools.url("postgresql+psycopg"))
    yield engine
    engine.dispose()


def test_sqlalchemy_reflects_every_live_table_without_a_request(engine, tools: ToolsDatabase) -> None:
    tools.requests()
    metadata = sqlalchemy.MetaData()
    names = sqlalchemy.inspect(engine).get_foreign_table_names("stripe_live")
    for name in names:
        sqlalchemy.Table(name, metadata, schema="stripe_live", autoload_with=engine)
    assert len(names) > 100
    customer = metadata.tables["stripe_live.customer"]
    assert isinstance(customer.c.balance.type, sqlalchemy.BigInteger)
    assert isinstance(customer.c.created.type, sqlalchemy.DateTime)
    assert customer.c.created.type.timezone
    assert tools.requests() == 0


def test_sqlalchemy_maps_live_tables_and_copies_once_they_are_told_their_keys(engine) -> None:
    metadata = sqlalchemy.MetaData()
    for schema in ("stripe_live", "stripe"):
        key = sqlalchemy.Column(
            "id", sqlalchemy.Text, primary_key=True, server_default=sqlalchemy.FetchedValue()
        )
        sqlalchemy.Table("customer", metadata, key, schema=schema, autoload_with=engine)
    base = automap_base(metadata=metadata)
    base.prepare(classname_for_table=lambda _base, _name, table: f"{table.schema}_{table.name}")
    live, copied = base.classes.stripe_live_customer, base.classes.stripe_customer
    with Session(engine) as session:
        made = live(email="turing@example.com", name="Alan")
        session.add(made)
        session.commit()
        assert made.id.startswith("cus_")
        assert session.get(copied, made.id).email == "turing@example.com"  # written through
        made.name = "Alan T."
        session.commit()
        assert session.get(live, made.id).name == "Alan T."
        session.delete(made)
        session.commit()
