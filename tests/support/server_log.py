"""Whether a server goes on as it was started, by its process id and what it logs."""

from __future__ import annotations

from stripe_fdw.devstack.private_postgres import Cluster

_CRASHES = (
    "was terminated by signal",
    "all server processes terminated; reinitializing",
    "PANIC",
    "Fatal Python error",
)


class CrashWatch:
    """Finds crashes of a server's processes since the last look.

    Postgres starts other backends for those that crashed, but its log tells of them: also of one that crashed
    while it ended, after its session's test.
    """

    def __init__(self, cluster: Cluster) -> None:
        """Look from now on."""
        self._cluster = cluster
        self._pid = cluster.pid()
        self._position = cluster.log.stat().st_size

    def check(self) -> None:
        """Raise AssertionError if the server was started anew, or one of its processes crashed."""
        assert self._cluster.pid() == self._pid
        with self._cluster.log.open("rb") as log:
            log.seek(self._position)
            text = log.read()
        complete = text.rpartition(b"\n")[0]
        self._position += len(complete)
        crashes = [
            line for line in complete.decode(errors="replace").splitlines() if any(map(line.count, _CRASHES))
        ]
        assert crashes == []
