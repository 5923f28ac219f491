"""Imports that a process makes once and keeps until it ends, exempt from garbage collection."""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType


def import_permanently(name: str) -> ModuleType:
    """Import a module with the garbage collector off, and exempt what is loaded from collection.

    All of it stays loaded. Looking for garbage in it would take a third of the time that a command needs to
    start, a tenth of a backend's first query, and time of every later scan.
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


def collect_garbage_rarely() -> None:
    """Exempt what is loaded from garbage collection, and look for garbage in the rest seldom.

    A page of objects is a tree of some 10,000 lists and dictionaries, none in a cycle. With Python's usual
    frequency, looking through the pages that are being read takes a quarter of a refresh's processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
