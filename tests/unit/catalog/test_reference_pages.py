"""The pages of the reference: what they say, and that what is out of date is noticed."""

from __future__ import annotations

from pathlib import Path

from stripe_fdw.catalog import load, reference_pages

PAGES = reference_pages.pages(load())


def rows(page: str, beginning: str) -> list[str]:
    return [line for line in PAGES[Path(page)].splitlines() if line.startswith(beginning)]


def test_all_changes_of_state_stand_on_one_page() -> None:
    changes = rows("states.md", "| [")
    assert len(changes) == sum(len(resource.transitions) for resource in load().resources)
    assert (
        "| [invoice](tables/billing.md#invoice) | `status = 'void'` | `open`, `uncollectible` |"
        " `POST /v1/invoices/{invoice}/void` |"
    ) in changes
    assert "- `sent` as status of invoice" in PAGES[Path("states.md")]


def test_a_page_of_tables_says_what_is_written_and_how() -> None:
    billing = PAGES[Path("tables/billing.md")]
    section = billing.split("\n## subscription\n")[1].split("\n## ")[0]
    assert "- INSERT needs one of `customer`, `customer_account`; one of `items`, `plan`, `price`." in section
    assert "DELETE is `DELETE /v1/subscriptions/{subscription}`" in section
    assert "| `metadata` | jsonb | `search` | insert, update, NULL |  |" in section
    assert "| `status = 'active'` | `paused` | `POST /v1/subscriptions/{subscription}/resume` |" in section
    products = PAGES[Path("tables/products.md")]
    assert "| `currency` | text | `=`, `= any`, `search` | **insert** |  |" in products


def test_the_index_says_what_statements_write_a_table() -> None:
    assert rows("tables.md", "| [coupon]")[0].endswith("| insert, update, delete |")
    assert rows("tables.md", "| [balance_transaction]")[0].endswith("|  |")


def test_a_page_that_is_changed_missing_or_left_over_is_out_of_date(tmp_path: Path) -> None:
    reference_pages.write(load(), tmp_path)
    assert reference_pages.outdated(load(), tmp_path) == []
    (tmp_path / "states.md").unlink()
    (tmp_path / "tables" / "core.md").write_text("changed", "utf-8")
    (tmp_path / "tables" / "gone.md").write_text("", "utf-8")
    assert reference_pages.outdated(load(), tmp_path) == [
        Path("states.md"),
        Path("tables/core.md"),
        Path("tables/gone.md"),
    ]
    reference_pages.write(load(), tmp_path)
    assert reference_pages.outdated(load(), tmp_path) == []
