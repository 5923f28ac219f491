"""Latency: the delay before each response."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass


@dataclass(slots=True)
class Latency:
    """A delay in seconds, and a random part of ``jitter`` seconds on top of it."""

    seconds: float
    jitter: float

    async def wait(self) -> None:
        """Wait for one response's delay."""
        delay = self.seconds + random.random() * self.jitter  # noqa: S311 - not for secrets
        if delay > 0:
            await asyncio.sleep(delay)
