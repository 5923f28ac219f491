"""``python -m chaos``: run once, and say what was wrong; the exit code is 1 if anything was."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from chaos.run import run


def _main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of a run to repeat")
    parser.add_argument("--changes", type=int, default=4000, help="made at Stripe (default 4000)")
    parser.add_argument("--copies", nargs="*", default=["all"], help="tables to copy (default all)")
    parser.add_argument("--keep", type=Path, help="an empty folder for Postgres and logs, which stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        directory = (options.keep or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        result = run(directory, options.seed, options.changes, options.copies, _say)
    _say(str(result))
    return 1 if result.wrong else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(_main())
