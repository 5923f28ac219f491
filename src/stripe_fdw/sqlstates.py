"""The SQLSTATEs of errors in writing, by Postgres's names for them.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from typing import Final

FEATURE_NOT_SUPPORTED: Final = "0A000"
NUMERIC_VALUE_OUT_OF_RANGE: Final = "22003"
DATETIME_FIELD_OVERFLOW: Final = "22008"
INVALID_PARAMETER_VALUE: Final = "22023"
NOT_NULL_VIOLATION: Final = "23502"
FOREIGN_KEY_VIOLATION: Final = "23503"
OBJECT_NOT_IN_PREREQUISITE_STATE: Final = "55000"
FDW_UNABLE_TO_CREATE_EXECUTION: Final = "HV00L"
