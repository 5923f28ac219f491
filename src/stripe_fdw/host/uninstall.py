"""Removal of the bundled host from a Postgres. It needs no compiler and no headers."""

from __future__ import annotations

from pathlib import Path

from stripe_fdw.host.install import MODULE, HostInstallError, is_ours


def installed_files(pkglibdir: Path, extensiondir: Path) -> list[Path]:
    """Return the files that ``install`` has put there: control and SQL files, and the module last.

    Raises:
        HostInstallError: the module there is not of this package.
    """
    module = pkglibdir / MODULE
    if module.exists() and not is_ours(module):
        raise HostInstallError(
            f"{module} is not of this package", hint="Nothing was removed. Its own package removes it."
        )
    control = extensiondir / "stripe_fdw.control"
    files = [control, *sorted(extensiondir.glob("stripe_fdw--*.sql")), module]
    return [file for file in files if file.exists()]


def uninstall(files: list[Path]) -> None:
    """Remove files that ``installed_files`` has found.

    Raises:
        HostInstallError: a folder cannot be written.
    """
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise HostInstallError(
                f"cannot remove {file}: {error.strerror}",
                hint="Run it as root, or as the user that PostgreSQL is installed by.",
            ) from error
