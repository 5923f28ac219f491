"""Compare the simulator with recorded exchanges of Stripe: run by ``make recorded``.

Usage: recorded.py DIRECTORY [ARGUMENT ...]

The directory is not a part of this repository. It holds ``replay.py``, which sends the requests of recorded
scenarios to a server and prints which responses differ from Stripe's, how many steps agree, and exits with 1
if any differs. Further arguments are passed to it: ``--strict``, or the files of scenarios.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stripe_simulator.process import SimulatorProcess

# What the recorded API version calls differently from the simulator's: OLD=NEW of replay.py's --version.
_RENAMED_PARAMETERS = ("payment_method_types=allowed_payment_method_types",)
_KEY = "sk_test_recorded"
_SECONDS = 600.0


def main(directory: Path, arguments: list[str]) -> int:
    """Replay the recordings against a new, empty simulator. Returns the exit status."""
    replay = directory / "replay.py"
    if not replay.is_file():
        print(f"There are no recordings in {directory}: {replay} does not exist.", file=sys.stderr)
        print("Name the directory that holds them: make recorded RECORDED=path", file=sys.stderr)
        return 2
    versions = [word for renamed in _RENAMED_PARAMETERS for word in ("--version", renamed)]
    with SimulatorProcess(customers=0) as simulator:
        command = [sys.executable, str(replay), *versions, simulator.url, _KEY, *arguments]
        return subprocess.run(command, check=False, timeout=_SECONDS).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
