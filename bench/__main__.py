"""``python -m bench [part …]``: measure and print the table of README."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping

from bench.figures import Figure, markdown
from bench.points import points
from bench.scans import memory, scans
from bench.writes import memory_of_writes, writes

PARTS: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "points": points,
    "scans": scans,
    "memory": memory,
    "writes": writes,
    "memory_of_writes": memory_of_writes,
}


def main(names: list[str]) -> None:
    """Measure the parts named, or all."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    figures: list[Figure] = []
    for name in names or PARTS:
        print(f"measuring {name} …", file=sys.stderr)
        figures.extend(PARTS[name]())
    print(f"Python {platform.python_version()} on {platform.machine()}\n")
    print(markdown(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
