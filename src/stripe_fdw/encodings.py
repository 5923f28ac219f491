"""Texts with characters that the encoding of a database lacks; one in UTF8 lacks none.

No value of such a database can hold them, JSON neither: there they become question marks.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Final

_COMPLETE: Final = frozenset({"UTF8", "SQL_ASCII"})
_WINDOWS: Final = re.compile(r"WIN(\d+)")
_OTHER_NAMES: Final = {"KOI8R": "koi8-r", "KOI8U": "koi8-u", "UHC": "cp949"}


def lacking_codec(encoding: str) -> str | None:
    """Return Python's name of an encoding of Postgres; None if it has all characters, or Python lacks it."""
    if encoding in _COMPLETE:
        return None
    try:
        return codecs.lookup(_OTHER_NAMES.get(encoding) or _WINDOWS.sub(r"cp\1", encoding)).name
    except LookupError:
        return None


def has_all_of(codec: str, text: str) -> bool:
    """Return True if the encoding has all characters of a text."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def representable(item: dict[str, Any], codec: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return an object with question marks for what an encoding lacks, and the fields that have some."""
    lost: dict[str, Any] = {}
    for name, value in item.items():
        text = json.dumps(value, ensure_ascii=False)
        if not has_all_of(codec, text):
            lost[name] = json.loads(text.encode(codec, "replace").decode(codec))
    return ({**item, **lost}, tuple(lost)) if lost else (item, ())
