"""Whether the package's files are still those that the C extension, or this process, was made from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

from stripe_fdw.host.sql_errors import HostError
from stripe_fdw.version import __version__

_HOST: Final = Path(__file__).parent
_PRELOAD: Final = "stripe_fdw.host.preload"  # of a server that keeps the extension until it is restarted
FileIdentity = tuple[int, int, int]


@cache
def build_identity() -> str:
    """Return what the C extension must have been compiled from: the version, and a hash of the C sources.

    C and Python know each other's functions, and a version may have several builds. Only the C sources count:
    Python's side is the one that lies beside them.
    """
    digest = blake2b(digest_size=8)
    for file in sorted((_HOST / "c").glob("*.[ch]")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()}"


def check_build(compiled: str) -> None:
    """Refuse to run with an extension that was compiled from other sources than those of this package.

    Raises HostError, which says what to run.
    """
    if compiled == build_identity():
        return
    version = compiled.partition("+")[0]
    if version == __version__:
        message = f"stripe_fdw was compiled from another build of version {version} of the package"
    else:
        message = (
            f"stripe_fdw was compiled from version {version} of the package, but {__version__} is installed"
        )
    program = Path(sys.executable).with_name("stripe-fdw")
    then = "restart the server" if _PRELOAD in sys.modules else "connect again"
    raise HostError(message, hint=f'Run "{program} host install" as root, then {then}.')


def identity_of(file: Path) -> FileIdentity | None:
    """Return what changes when a file is installed anew; None if it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class PackageWatch(MetaPathFinder):
    """Refuses to import more of the package after another version of it has been installed.

    A session imports some modules when it first needs them. Those of another version would not fit to what it
    has loaded.
    """

    def __init__(self, file: Path = _HOST.parent / "__init__.py") -> None:
        """Take the package as it is now for what this process has loaded."""
        self._file = file
        self._loaded = identity_of(file)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - of the protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Leave the search to others. Raises HostError if the package was installed anew."""
        if fullname.startswith("stripe_fdw.") and identity_of(self._file) != self._loaded:
            raise HostError(
                "the stripe-fdw package was installed anew while this session had it loaded",
                hint="Connect again.",
            )
        return None
