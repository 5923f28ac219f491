"""The command ``python -m stripe_simulator``."""

from __future__ import annotations

import argparse

from stripe_simulator.options import SimulatorOptions
from stripe_simulator.server.server import serve


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stripe_simulator", description="A stateful Stripe on this machine."
    )
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated objects")
    parser.add_argument(
        "--customers", type=int, default=1000, help="number of customers; other objects in proportion"
    )
    parser.add_argument("--subscriptions", type=int, help="number of subscriptions")
    parser.add_argument("--invoices", type=int, help="number of invoices")
    parser.add_argument(
        "--count", action="append", default=[], metavar="RESOURCE=N", help="number of objects of a resource"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="delay of each response")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="maximum random addition to the latency")
    parser.add_argument("--rate", type=float, help="requests per second allowed in total")
    parser.add_argument("--endpoint-rate", type=float, help="requests per second allowed on each endpoint")
    parser.add_argument(
        "--search-delay-ms", type=float, default=1000.0, help="delay until a write can be found by search"
    )
    parser.add_argument(
        "--settlement-delay-ms", type=float, default=20.0, help="delay until a payment has settled"
    )
    parser.add_argument(
        "--not-activated", action="append", default=[], metavar="AREA", help="product area not activated"
    )
    parser.add_argument("--until", type=int, help="latest time of creation, in Unix seconds")
    return parser


def main() -> None:
    """Parse the command line and serve."""
    parser = _parser()
    arguments = vars(parser.parse_args())
    port = arguments.pop("port")
    try:
        options = SimulatorOptions.from_command_line(**arguments)
    except ValueError as error:
        parser.error(str(error))
    serve(options, port)


if __name__ == "__main__":
    main()
