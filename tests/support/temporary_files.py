"""Temporary files in memory: the tests make databases of thousands of files, which last for some seconds."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_FILES = 6 << 30  # bytes, of which four workers use 3.4 GB until pytest removes them
_MEMORY = 12 << 30  # bytes, for the files, and for servers and workers
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def keep_in_memory() -> None:
    """Set TMPDIR to shared memory, unless it is set, or the machine has too little memory."""
    if "TMPDIR" in os.environ or not os.access(_SHARED_MEMORY, os.W_OK):
        return
    if (
        os.statvfs(_SHARED_MEMORY).f_flag & os.ST_NOEXEC
    ):  # as in a container: virtual environments are made there
        return
    if shutil.disk_usage(_SHARED_MEMORY).free >= _FILES and _free_memory() >= _MEMORY:
        os.environ["TMPDIR"] = str(_SHARED_MEMORY)
        tempfile.tempdir = None


def _free_memory() -> int:
    """Return how many bytes the system has free, or the limit of a container if that is lower."""
    information = Path("/proc/meminfo")
    if not information.exists():
        return 0
    values = dict(line.split(":", 1) for line in information.read_text().splitlines())
    free = [int(values["MemAvailable"].split()[0]) << 10]
    for limit in map(Path, _LIMITS):
        if limit.exists() and limit.read_text().strip().isdigit():
            free.append(int(limit.read_text()))
    return min(free)
