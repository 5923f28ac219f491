"""``python -m stripe_simulator``: the simulator alone."""

from __future__ import annotations

import argparse

from stripe_simulator.options import options_of
from stripe_simulator.server.server import serve


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stripe_simulator", description="A stateful Stripe on this machine."
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="other seeds give other objects")
    parser.add_argument("--customers", type=int, default=1000, help="other kinds in proportion")
    parser.add_argument("--subscriptions", type=int, help="instead of the proportion")
    parser.add_argument("--invoices", type=int, help="instead of the proportion")
    parser.add_argument("--count", action="append", default=[], metavar="RESOURCE=N", help="of any resource")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before each answer")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="at most, on top of the latency")
    parser.add_argument("--rate", type=float, help="requests/s allowed in all")
    parser.add_argument("--endpoint-rate", type=float, help="requests/s allowed on each endpoint")
    parser.add_argument("--search-delay-ms", type=float, default=1000.0, help="until writes can be searched")
    parser.add_argument("--until", type=int, help="when the newest object was created, in Unix seconds")
    return parser


def main() -> None:
    """Read the command line and serve."""
    parser = _parser()
    arguments = vars(parser.parse_args())
    port = arguments.pop("port")
    try:
        settings = options_of(**arguments)
    except ValueError as error:
        parser.error(str(error))
    serve(settings, port)


if __name__ == "__main__":
    main()
