"""The start of the command line, which imports it: an interrupt is reported from the first import on."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command of ``sys.argv`` and exit. An interrupt ends with one line and exit code 130."""
    try:
        from stripe_fdw.imports import import_permanently

        code = import_permanently("stripe_fdw.cli").app()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one ends it at once
        print("error: interrupted", file=sys.stderr)  # noqa: T201 - what else prints may not be imported yet
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
