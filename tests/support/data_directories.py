"""Data directories of servers, copied from one that is made once for all workers and kept between runs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stripe_fdw.devstack.private_postgres import Cluster
from support.installed_host import BUILDS, locked

Make = Callable[[Cluster, list[str]], None]


@contextmanager
def initialized_once() -> Iterator[None]:
    """Have ``Cluster.initialize`` copy a data directory: initdb takes four times as much processor time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cluster, "_make_data", _copied(Cluster._make_data))
        yield


def _copied(make_data: Make) -> Make:
    def make(cluster: Cluster, prefix: list[str]) -> None:
        if "-u" in prefix:  # another user, who may not enter the folder of builds
            make_data(cluster, prefix)
            return
        initdb = cluster.tree.system.bindir / "initdb"
        made = hashlib.sha256(f"{initdb} {initdb.stat().st_mtime_ns}".encode()).hexdigest()[:24]
        kept = BUILDS.parent / "data" / made
        with locked(kept.parent / "lock"):
            if not kept.exists():
                make_data(cluster, prefix)
                _copy(cluster.data, kept.with_suffix(".new"))
                kept.with_suffix(".new").rename(kept)
                return
        _copy(kept, cluster.data)

    return make


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
