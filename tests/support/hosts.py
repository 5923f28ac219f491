"""The hosts that a test runs on: both, but for what one has alone, or what does not depend on the host."""

from __future__ import annotations

import pytest

BUNDLED_ALONE = pytest.mark.parametrize("host", ["bundled"], indirect=True, scope="session")
"""Runs a test on the bundled host alone. Another test shows on both that the parts work together."""
