"""What tests of attacks share: acting as a role, and functions that leave a trace of whom they run as."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

Acting = Callable[[], AbstractContextManager[None]]
# The beginning of a function's definition after its result type: RETURN and END follow.
NOTES_ITS_ROLE = "language plpgsql as $$ begin perform set_config('attack.ran_as', current_user, false);"
