"""The documentation's pages as tests read them: blocks of code, and sessions in psql's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Pages whose statements write, and are followed from top to bottom; the first is the one with the examples.
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
_WORD = re.compile(r"^(ERROR|WARNING|NOTICE|DETAIL|HINT):", re.M)


@dataclass(frozen=True)
class Block:
    """A block of code, and what a comment before it says about it."""

    line: int
    mark: str
    language: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A statement that a page shows with what comes of it."""

    statement: str
    table: tuple[tuple[str, ...], ...]  # names and rows
    messages: tuple[str, ...]


def blocks(path: Path) -> list[Block]:
    """Each block of code, in order."""
    text = path.read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, found["mark"] or "", found["language"], found["text"])
        for found in _BLOCK.finditer(text)
    ]


def writes(block: Block) -> bool:
    """Whether its statements change something in Stripe; what they define may do that later."""
    return _WRITING.search(_BODY.sub("", block.text)) is not None


def session(block: Block) -> list[Shown]:
    """The statements of a block like one of psql's."""
    return [_shown(part) for part in re.split(r"^\w*=# ", block.text, flags=re.M)[1:]]


def _shown(text: str) -> Shown:
    lines = text.splitlines()
    statement: list[str] = []
    while lines:
        statement.append(lines.pop(0))
        if statement[-1].endswith(";") and "\n".join(statement).count("$$") % 2 == 0:
            break
    left = "\n".join(lines)
    found = _WORD.search(left)
    table = left[: found.start()] if found else left
    said = re.split(r"^(?=(?:ERROR|WARNING|NOTICE):)", left[found.start() :], flags=re.M) if found else []
    rows = [
        tuple(cell.strip() for cell in line.split("|"))
        for line in table.splitlines()
        if line.strip() and not re.fullmatch(r"[-+]+|\(\d+ rows?\)", line.strip())
    ]
    messages = tuple(" ".join(message.split()) for message in said if message.strip())
    return Shown("\n".join(statement).removesuffix(";"), tuple(rows), messages)
