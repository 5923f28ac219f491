"""Processes forked from one that has imported the package: importing takes longer than most of their work."""

from __future__ import annotations

import multiprocessing
from typing import Final

FORKS: Final = multiprocessing.get_context("forkserver")
"""Has one server in each process of pytest, which is started with the first fork."""

FORKS.set_forkserver_preload(["stripe_fdw.cli", "stripe_fdw.jobs.worker", "stripe_simulator.__main__"])
