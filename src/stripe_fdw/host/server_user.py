"""A trial of what a backend does first, as the OS user that the server runs as."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import Final

from stripe_fdw.errors import OptionError
from stripe_fdw.host.python import unreachable_folder

DEFAULT_USER: Final = "postgres"  # of the packages of all distributions
_TRIAL_SECONDS: Final = 60
_TRIAL: Final = """
import stripe_fdw.host.bridge
from stripe_fdw.shared.directory import directories
from stripe_fdw.shared.memory import SharedMemory
folders = directories()
with SharedMemory(*folders).locked():
    print(folders[0])
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a trial: the shared folder that it mapped, or why it failed and what mends that."""

    user: str
    shared_folder: str | None = None
    failure: str | None = None
    hint: str | None = None


def server_user(name: str | None) -> pwd.struct_passwd:
    """Return the OS user of the server: the one named, else ``postgres`` for root, else the current one.

    Raises OptionError if there is no user of that name.
    """
    current = pwd.getpwuid(os.geteuid())
    if name is None and current.pw_uid != 0:
        return current
    try:
        return pwd.getpwnam(name or DEFAULT_USER)
    except KeyError:
        if name is None:
            return current
        raise OptionError(
            f'--server-user "{name}" is no user of this machine',
            hint="Give the one that `ps -o user= -C postgres` shows.",
        ) from None


def try_as(user: pwd.struct_passwd, python: str) -> Trial:
    """Start an interpreter as the server's user, import the package there, and map the shared folder.

    Only root can do so for another user; without these rights, the trial fails and says so. Of the server's
    environment, it knows STRIPE_FDW_SHARED_DIRECTORY if the current process has it too.
    """
    name = "STRIPE_FDW_SHARED_DIRECTORY"
    environment = {name: os.environ[name]} if name in os.environ else {}
    is_other = user.pw_uid != os.geteuid()
    try:
        done = subprocess.run(
            [python, "-I", "-B", "-c", _TRIAL],
            user=user.pw_uid if is_other else None,
            group=user.pw_gid if is_other else None,
            extra_groups=os.getgrouplist(user.pw_name, user.pw_gid) if is_other else None,
            cwd="/",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TRIAL_SECONDS,
        )
    except PermissionError:
        if is_other and os.geteuid() != 0:
            return Trial(
                user.pw_name, failure=f"only root can try as {user.pw_name}", hint="Run this command as root."
            )
        return _without_access(user.pw_name, python)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Trial(user.pw_name, failure=f"{python} does not start, or does not end: {error}")
    if done.returncode == 0:
        return Trial(user.pw_name, shared_folder=done.stdout.strip())
    lines = [line for line in done.stderr.strip().splitlines() if not line.startswith(("DETAIL:", "HINT:"))]
    reason = lines[-1] if lines else f"{python} ended with exit code {done.returncode}"
    return _failed(user.pw_name, python, reason)


def _failed(user: str, python: str, reason: str) -> Trial:
    """Return the trial in which the interpreter started, and ended with the last line of a traceback."""
    if "shared directory" in reason:
        return Trial(
            user,
            failure=reason.removeprefix("stripe_fdw.errors.OptionError: "),
            hint="Set STRIPE_FDW_SHARED_DIRECTORY in the environment of the server (docs/how-to/hosts.md).",
        )
    if "PermissionError" in reason or "No module named" in reason:
        return _without_access(user, python, reason)
    return Trial(user, failure=reason)


def _without_access(user: str, python: str, reason: str | None = None) -> Trial:
    folder = None if reason else unreachable_folder(python)
    closed = f": others may not enter {folder}" if folder else f": {reason}" if reason else ""
    return Trial(
        user,
        failure=f"the server's OS user {user} cannot start {python}{closed}",
        hint="Install the package into an environment that this user can read, made with a Python that it can"
        " read: /usr/bin/python3 -m venv /opt/stripe-fdw.",
    )
