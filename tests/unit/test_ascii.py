"""What the product says to clients is ASCII: any other character may have no place in a client's encoding."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.cases import each

PRODUCT = Path(__file__).parents[2] / "src" / "stripe_fdw"
# Text for files and terminals, and a character that replaces others in what Stripe answers.
ELSEWHERE = {"cli", "catalog/reference_pages.py", "catalog/write_description.py", "fdw/reading/rows.py"}

C_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def product(pattern: str) -> list[Path]:
    """The files that hold messages."""
    found = sorted(PRODUCT.rglob(pattern))
    assert found
    return [file for file in found if not {shown(file), shown(file).partition("/")[0]} & ELSEWHERE]


def shown(file: Path) -> str:
    """A file's name below the product's folder."""
    return file.relative_to(PRODUCT).as_posix()


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """The string constants of a Python file that are not docstrings, each with its line."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


@each("file", product("*.py"), ids=shown)
def test_python(file: Path) -> None:
    assert [(line, text) for line, text in texts(file) if not text.isascii()] == []


@each("file", product("*.[ch]"), ids=shown)
def test_c(file: Path) -> None:
    assert [text for text in C_STRING.findall(file.read_text()) if not text.isascii()] == []


# The package has its scripts by a link, which a search for files does not follow.
@each("file", [*product("*.sql"), *sorted((PRODUCT / "sql").rglob("*.sql"))], ids=shown)
def test_sql(file: Path) -> None:
    assert file.read_text().isascii()


def test_the_catalog() -> None:
    catalog = PRODUCT / "catalog" / "stripe.json"
    assert catalog.read_bytes().isascii()
    assert "\\u" not in catalog.read_text()
