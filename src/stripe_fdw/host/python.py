"""A Python installation, as its interpreter describes it, and whether Postgres can run it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from stripe_fdw.errors import StripeFdwError

# Run by the interpreter to describe. A build may have its shared library in any of these folders.
_DESCRIBE: Final = """
import json, os, sys, sysconfig
var = sysconfig.get_config_var
names = [name for name in (var("INSTSONAME"), var("LDLIBRARY")) if name and ".so" in name]
folders = [folder for folder in (var("LIBDIR"), os.path.join(sys.base_prefix, "lib")) if folder]
paths = [os.path.join(folder, name) for folder in folders for name in names]
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])),
    "include": sysconfig.get_path("include"),
    "library": next(filter(os.path.exists, paths), None) if var("Py_ENABLE_SHARED") else None,
}))
"""


class PythonError(StripeFdwError):
    """An interpreter does not run, or is too old."""


@dataclass(frozen=True)
class Python:
    """An interpreter: path (a venv's own, not the target of its link), version, headers, shared library."""

    executable: str
    version: str
    include: str
    library: str | None

    @property
    def series(self) -> str:
        """The minor version, such as ``3.11`` of 3.11.7."""
        return ".".join(self.version.split(".")[:2])


@cache
def describe(executable: str) -> Python:
    """Run an interpreter to describe itself.

    Raises:
        PythonError: it does not run.
    """
    path = os.path.abspath(executable)  # noqa: PTH100 - resolve() would leave the venv
    try:
        done = subprocess.run([path, "-I", "-c", _DESCRIBE], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PythonError(f"cannot run {path}: {error}") from error
    return Python(path, **json.loads(done.stdout))


def unreachable_folder(executable: str) -> Path | None:
    """Return the first folder above an interpreter that other OS users may not enter, or None."""
    for name in (os.path.abspath(executable), os.path.realpath(executable)):  # noqa: PTH100
        for folder in reversed(Path(name).parents):
            if not folder.stat().st_mode & 0o001:
                return folder
    return None
