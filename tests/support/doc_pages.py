"""The documentation as tests read it: blocks of code, and statements with their results in psql's format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Pages whose statements write, and which are run from top to bottom; the first is the one with the examples.
WRITING_PAGES = tuple(
    ROOT / "docs" / name for name in ("how-to/write.md", "how-to/write-errors.md", "reference/writing.md")
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>.*?) -->\n)?^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```", re.M | re.S
)
_WRITING = re.compile(
    r"\b(insert into|update|delete from|copy) stripe_live\.\w|\.call\('(?!GET)", re.IGNORECASE
)
_BODY = re.compile(r"\$\$.*?\$\$", flags=re.DOTALL)
_MESSAGE = re.compile(r"^(ERROR|WARNING|NOTICE|DETAIL|HINT):", re.M)


@dataclass(frozen=True)
class Block:
    """A block of code, with the text of the comment before it, ``mark``."""

    line: int
    mark: str
    language: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A statement that a page shows with its result."""

    statement: str
    table: tuple[tuple[str, ...], ...]  # names and rows
    messages: tuple[str, ...]


def blocks(path: Path) -> list[Block]:
    """Return the blocks of code of a page, in order."""
    text = path.read_text()
    return [
        Block(text.count("\n", 0, match.start()) + 1, match["mark"] or "", match["language"], match["text"])
        for match in _BLOCK.finditer(text)
    ]


def writes(block: Block) -> bool:
    """Return True if the statements of a block write to Stripe; bodies of functions do not count."""
    return _WRITING.search(_BODY.sub("", block.text)) is not None


def session(block: Block) -> list[Shown]:
    """Return the statements of a block that shows a psql session."""
    return [_shown(part) for part in re.split(r"^\w*=# ", block.text, flags=re.M)[1:]]


def _shown(text: str) -> Shown:
    lines = text.splitlines()
    statement: list[str] = []
    while lines:
        statement.append(lines.pop(0))
        if statement[-1].endswith(";") and "\n".join(statement).count("$$") % 2 == 0:
            break
    result = "\n".join(lines)
    first = _MESSAGE.search(result)
    table = result[: first.start()] if first else result
    shown = re.split(r"^(?=(?:ERROR|WARNING|NOTICE):)", result[first.start() :], flags=re.M) if first else []
    rows = [
        tuple(cell.strip() for cell in line.split("|"))
        for line in table.splitlines()
        if line.strip() and not re.fullmatch(r"[-+]+|\(\d+ rows?\)", line.strip())
    ]
    messages = tuple(" ".join(message.split()) for message in shown if message.strip())
    return Shown("\n".join(statement).removesuffix(";"), tuple(rows), messages)
