from __future__ import annotations

from pathlib import Path

from bench.figures import FIGURES, HEADER, markdown

README = Path(__file__).parents[2] / "README.md"


def table() -> list[list[str]]:
    """Return the rows of README's table of figures, its header first."""
    lines = README.read_text().partition("`make bench` prints this table")[2].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def test_readme_shows_the_figures_that_the_bench_measures_with_their_bounds() -> None:
    header, separator, *rows = table()
    assert header == list(HEADER)
    assert set(separator) == {"---"}
    assert [(row[0], row[4]) for row in rows] == [(figure.name, figure.bound) for figure in FIGURES]


def test_readme_says_whether_a_bound_holds_wherever_there_is_one() -> None:
    for row in table()[2:]:
        assert row[5] in (("yes", "no") if row[4] else ("",)), row[0]


def test_the_bench_prints_the_table_as_readme_has_it() -> None:
    measured = [
        figure.measured(row[1], row[2], row[3], holds={"yes": True, "no": False, "": None}[row[5]])
        for figure, row in zip(FIGURES, table()[2:], strict=True)
    ]
    assert markdown(measured) in README.read_text()
