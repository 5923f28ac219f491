from __future__ import annotations

import re
from pathlib import Path

import stripe_fdw
from stripe_fdw import sqlstates

PACKAGE = Path(stripe_fdw.__file__).parent
STATES = {name: state for name, state in vars(sqlstates).items() if name.isupper() and name[0] != "_"}


def test_each_sqlstate_has_five_characters_and_one_name() -> None:
    assert all(re.fullmatch(r"[0-9A-Z]{5}", state) for state in STATES.values())
    assert len(set(STATES.values())) == len(STATES)


def test_sqlstates_are_written_by_name_everywhere_else() -> None:
    literal = re.compile("|".join(f'"{state}"' for state in STATES.values()))
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "sqlstates.py"]
    assert [file for file in files if literal.search(file.read_text())] == []


def test_no_other_sqlstate_is_given_as_digits() -> None:
    digits = re.compile(r"""sqlstate\s*(?:: [\w\[\]]+ )?=\s*["'][0-9A-Z]{5}["']""")
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "sqlstates.py"]
    assert [file for file in files if digits.search(file.read_text())] == []
