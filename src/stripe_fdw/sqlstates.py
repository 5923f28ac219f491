"""SQLSTATEs by Postgres's names, the only place where their digits are written, and those of exceptions.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from typing import Final

CONNECTION_FAILURE: Final = "08006"
PROTOCOL_VIOLATION: Final = "08P01"
FEATURE_NOT_SUPPORTED: Final = "0A000"
NUMERIC_VALUE_OUT_OF_RANGE: Final = "22003"
INVALID_DATETIME_FORMAT: Final = "22007"
DATETIME_FIELD_OVERFLOW: Final = "22008"
CHARACTER_NOT_IN_REPERTOIRE: Final = "22021"
INVALID_PARAMETER_VALUE: Final = "22023"
INVALID_JSON_TEXT: Final = "22032"
NOT_NULL_VIOLATION: Final = "23502"
FOREIGN_KEY_VIOLATION: Final = "23503"
UNIQUE_VIOLATION: Final = "23505"
INVALID_AUTHORIZATION_SPECIFICATION: Final = "28000"
GENERATED_ALWAYS: Final = "428C9"
INSUFFICIENT_PRIVILEGE: Final = "42501"
UNDEFINED_OBJECT: Final = "42704"
DUPLICATE_SCHEMA: Final = "42P06"
OUT_OF_MEMORY: Final = "53200"
CONFIGURATION_LIMIT_EXCEEDED: Final = "53400"
PROGRAM_LIMIT_EXCEEDED: Final = "54000"
STATEMENT_TOO_COMPLEX: Final = "54001"
OBJECT_NOT_IN_PREREQUISITE_STATE: Final = "55000"
LOCK_NOT_AVAILABLE: Final = "55P03"
QUERY_CANCELED: Final = "57014"
ADMIN_SHUTDOWN: Final = "57P01"
IO_ERROR: Final = "58030"
FDW_ERROR: Final = "HV000"
FDW_INVALID_DATA_TYPE: Final = "HV004"
FDW_COLUMN_NAME_NOT_FOUND: Final = "HV005"
FDW_INVALID_OPTION_NAME: Final = "HV00D"
FDW_UNABLE_TO_CREATE_EXECUTION: Final = "HV00L"
FDW_SCHEMA_NOT_FOUND: Final = "HV00Q"
FDW_TABLE_NOT_FOUND: Final = "HV00R"
FDW_INVALID_ATTRIBUTE_VALUE: Final = "HV024"
NO_DATA_FOUND: Final = "P0002"  # not class 02, which clients take for success
PRODUCT_NOT_ACTIVATED: Final = "ST001"  # ours, as the next is
CARD_DECLINED: Final = "ST402"  # ours: Postgres leaves classes that begin with I to Z to extensions

_OF_EXCEPTIONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (MemoryError, OUT_OF_MEMORY),
    (RecursionError, STATEMENT_TOO_COMPLEX),
    (UnicodeEncodeError, CHARACTER_NOT_IN_REPERTOIRE),
)


def of_exception(kind: type[BaseException]) -> str:
    """Return the SQLSTATE of a Python exception that has none of its own, as this package's errors do."""
    return next((state for known, state in _OF_EXCEPTIONS if issubclass(kind, known)), FDW_ERROR)


def is_error(state: str) -> bool:
    """Return True for an SQLSTATE that clients take for an error: not success, a warning or no data."""
    return re.fullmatch(r"(?!0[012])[0-9A-Z]{5}", state) is not None
