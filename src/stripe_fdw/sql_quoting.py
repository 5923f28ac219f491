"""Identifiers and string literals as SQL writes them."""

from __future__ import annotations


def quote_literal(text: str) -> str:
    """Return the text as a string literal: in single quotes, with those inside doubled."""
    return "'" + text.replace("'", "''") + "'"


def quote_identifier(name: str) -> str:
    """Return the name as a quoted identifier: in double quotes, with those inside doubled."""
    return '"' + name.replace('"', '""') + '"'
