"""Types that all of the simulator shares."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]  # a JSON object: a Stripe object, or a hash inside one
