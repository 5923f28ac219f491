"""Imports that a backend makes once and keeps until it ends."""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType


def import_permanently(name: str) -> ModuleType:
    """Import a module with the garbage collector off, and exempt what is loaded from collection.

    All of it stays loaded. Looking for garbage in it would take a tenth of a backend's first query, and time
    of every later scan.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        module = import_module(name)
    finally:
        if enabled:
            gc.enable()
    gc.freeze()
    return module
