"""Look the installed packages up among known vulnerabilities: run by ``make audit``.

pip-audit asks the index of Python packages. Where that cannot be reached, or knows no advisories, as behind a
mirror, pip-audit reports that it found nothing: then this says that nothing was looked up, and passes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass

_COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--local", "--skip-editable"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
)
_SECONDS = 300.0
_UNREACHABLE = re.compile(r"Connection|Could not connect|Timeout|timed out|NameResolution|Max retries", re.I)


@dataclass(frozen=True)
class Verdict:
    """What an audit found: its exit status, and the lines that say it."""

    status: int
    lines: tuple[str, ...]


def verdict(output: str, errors: str) -> Verdict:
    """Judge pip-audit's standard output and error.

    Fails for a vulnerability, and where pip-audit itself fails for another reason than the network.
    """
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        if _UNREACHABLE.search(errors):
            return Verdict(0, ("audit: NOT DONE, the advisory service cannot be reached",))
        return Verdict(1, ("audit: pip-audit failed", *errors.splitlines()[-5:]))
    found = [
        f"audit: {package['name']} {package['version']}: {flaw['id']}"
        f" (fixed in {', '.join(flaw['fix_versions']) or 'no version'})"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    skipped = [
        package["name"]
        for package in packages
        if "skip_reason" in package and "editable" not in package["skip_reason"]
    ]
    looked_up = sum("vulns" in package for package in packages)
    if found:
        return Verdict(1, tuple(found))
    if not looked_up:
        return Verdict(
            0, (f"audit: NOT DONE, the package index has no advisories for any of {len(skipped)} packages",)
        )
    lines = [f"audit: no known vulnerability in {looked_up} packages"]
    if skipped:
        lines.append(f"audit: not looked up: {', '.join(skipped)}")
    return Verdict(0, tuple(lines))


def main() -> int:
    """Run pip-audit and print its verdict. Returns the exit status."""
    try:
        done = subprocess.run(_COMMAND, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        judged = verdict("", "Timeout")
    else:
        judged = verdict(done.stdout, done.stderr)
    print("\n".join(judged.lines), file=sys.stderr if judged.status else sys.stdout)
    return judged.status


if __name__ == "__main__":
    sys.exit(main())
