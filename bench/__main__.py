"""``python -m bench [part …]``: measure, and print README's table in Markdown."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping

from bench.cancels import cancels
from bench.copies import copies, refresh_memory, refreshes
from bench.events import events
from bench.figures import PARTS, Measurement, markdown
from bench.joins import joins
from bench.point_reads import point_reads
from bench.scans import scan_memory, scans
from bench.statements import statement_memory
from bench.writes import write_memory, writes

MEASURES: Mapping[str, Callable[[], Iterator[Measurement]]] = {
    "point_reads": point_reads,
    "cancels": cancels,
    "scans": scans,
    "scan_memory": scan_memory,
    "joins": joins,
    "writes": writes,
    "write_memory": write_memory,
    "statement_memory": statement_memory,
    "copies": copies,
    "refreshes": refreshes,
    "refresh_memory": refresh_memory,
    "events": events,
}


def main(names: list[str]) -> None:
    """Measure the named parts, or all. Raises RuntimeError if a part measures other figures than listed."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    print(f"Python {platform.python_version()} on {platform.machine()}", file=sys.stderr)
    measurements: list[Measurement] = []
    for name in names or PARTS:
        print(f"measuring {name} …", file=sys.stderr)
        measured = list(MEASURES[name]())
        if tuple(measurement.figure for measurement in measured) != PARTS[name]:
            raise RuntimeError(f"{name} measured other figures than bench/figures.py lists")
        measurements.extend(measured)
    print(markdown(measurements))


if __name__ == "__main__":
    main(sys.argv[1:])
