"""Sample text in several scripts, such as names and addresses: functions of an index."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Zoë", "Łukasz", "Søren", "Amélie", "José", "Ingrid", "Yuki", "Nia", "Omar", "Priya", "Chen",
    "Dmitri",
    "Ngozi", "Siobhán", "Tomáš", "Leïla", "Kofi", "Aiko", "Grace", "Björn", "Carla", "Mateo", "Farah",
    "Élodie",
    "Ivan", "Hana", "Musa", "Rosa", "Wei", "Анна",
)  # fmt: skip
LAST_NAMES = (
    "Lovelace", "Müller", "Kowalski", "Kierkegaard", "Dubois", "García", "Bergström", "Tanaka",
    "Okafor", "Haddad",
    "Sharma", "Wang", "Ivanov", "O'Brien", "Novák", "Ben Ali", "Mensah", "Hopper", "Ødegård", "Silva",
    "Núñez",
    "Yildiz", "Nguyễn", "Papadopoulos", "Smith", "Jones", "Rossi", "Kim", "Đặng",
)  # fmt: skip
FULL_NAMES = (
    "株式会社山田",
    "Оксана Петренко",
    "محمد علي",
    "Gebr. Größe & Söhne",
    "Åse 🚲 Cykler",
    "北京科技有限公司",
)
PRODUCT_NAMES = (
    "Basic",
    "Starter",
    "Team",
    "Business",
    "Enterprise",
    "Pro",
    "Café Plan",
    "Archive",
    "Seats",
    "API calls",
)
STREETS = (
    "Main Street",
    "Rue de l'Église",
    "Hauptstraße",
    "Calle Mayor",
    "Østergade",
    "High Street",
    "桜通り",
)
CITIES = (
    ("Portland", "OR", "97201", "US"), ("Paris", None, "75001", "FR"), ("München", None, "80331", "DE"),
    ("Madrid", None, "28001", "ES"), ("København", None, "1050", "DK"), ("London", None, "EC1A 1BB", "GB"),
    ("名古屋市", "愛知県", "460-0001", "JP"),
)  # fmt: skip
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com")

# Fields of kind JSON that hold lists.
LIST_FIELDS = frozenset(
    [
        "default_tax_rates",
        "discounts",
        "tax_rates",
        "images",
        "marketing_features",
        "enabled_events",
        "fee_details",
        "total_taxes",
        "payment_method_types",
        "tiers",
        "lines_items",
        "supported_payment_currencies",
        "attached_payment_methods",
        "line_items",
        "transactions",
        "flags",
        "features",
        "requirements_list",
        "phases",
        "billing_schedules",
        "items_list",
        "supported_bank_account_currencies",
        "prices",
        "entries",
    ]
)


def name(index: int) -> str:
    """Return a name; every 37th is that of a company, or in another script."""
    if index % 37 == 5:
        return FULL_NAMES[index // 37 % len(FULL_NAMES)]
    return f"{FIRST_NAMES[index % 31]} {LAST_NAMES[index // 7 % 29]}"


def email(index: int) -> str:
    """Return an email address that holds its index; every 40th is that of the index before."""
    if index % 40 == 1:
        index -= 1
    return f"user{index}@{DOMAINS[index % 4]}"


def indexes_of_email(value: object, count: int) -> list[range]:
    """Return the indexes that may have this email address."""
    text = str(value)
    digits = text[4 : text.find("@")]
    if not (text.startswith("user") and digits.isascii() and digits.isdigit() and len(digits) < 16):
        return []
    index = int(digits)
    return [range(index, min(index + 2, count), 1)]


def phone(index: int) -> str:
    """Return a phone number in the range reserved for fiction."""
    return f"+1555{index * 7919 % 10_000_000:07d}"


def address(index: int) -> dict[str, str | None]:
    """Return a postal address in one of a few cities."""
    city, state, code, country = CITIES[index % 7]
    return {
        "city": city,
        "country": country,
        "line1": f"{index % 900 + 1} {STREETS[index // 3 % 7]}",
        "line2": None if index % 5 else "Floor 2",
        "postal_code": code,
        "state": state,
    }


def url(index: int) -> str:
    """Return a URL."""
    return f"https://www.example.com/{index}"


def metadata(index: int) -> dict[str, str]:
    """Return metadata: an order number, an organization, or none."""
    kind = index % 5
    if kind == 0:
        return {"order_id": str(6000 + index), "tier": ("gold", "silver", "bronze")[index // 5 % 3]}
    if kind == 1:
        return {"org": f"org_{index % 1000}"}
    return {}
