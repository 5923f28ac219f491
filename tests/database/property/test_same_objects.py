"""Writing rows leaves the same objects in Stripe as calling the API by its documentation.

Two simulated Stripes begin alike. Each random change is written to a foreign table of the one, and sent to
the other over HTTP, encoded here by hand as Stripe documents it. After each of them both have the same
object, and what RETURNING gave is what a new SELECT gives. ``HUNT=10`` tries ten times as much, all new.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from stripe_fdw.catalog import load
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import HUNT, BareStripe, Json, StripeError
from support.database import Servers
from support.simulators import Simulators

pytestmark = [
    pytest.mark.timeout(300 * (HUNT or 1)),
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]

KEY = "sk_test_51KeyOfThePropertyTests"
NOW = int(time.time()) // 86_400 * 86_400
COMMON = settings(
    deadline=None,
    derandomize=HUNT == 0,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)

# -- values --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ref:
    """One of the objects that both Stripes have from the start."""

    name: str


Value = Any  # None, bool, int, Decimal, str, datetime, Ref, dict or list of these
Strategy = st.SearchStrategy[Value]

TEXT = st.sampled_from(
    ["a", "Ada Lovelace", "Ünïcøde ☃", "a & b = c; d + e%20", "x" * 60, " spaced ", "0", "null"]
)
FLAG = st.booleans()
AMOUNT = st.integers(100, 99_999_999)
CODE = st.uuids().map(lambda uuid: f"K{uuid.hex[:12].upper()}")
FUTURE = st.integers(30, 600).map(lambda days: datetime.fromtimestamp(NOW + days * 86_400, UTC))
METADATA = st.one_of(
    st.dictionaries(st.sampled_from(["order_id", "a", "b", "ключ", "with space"]), TEXT, max_size=4),
    st.dictionaries(st.sampled_from(["order_id", "a"]), TEXT, min_size=1),
    st.none(),
)


def optional(strategy: Strategy) -> Strategy:
    """The value, or NULL."""
    return st.one_of(st.none(), strategy, strategy)


def record(**fields: Strategy) -> Strategy:
    """A JSON object with at least one of these."""
    return st.fixed_dictionaries({}, optional=fields).filter(bool)


ADDRESS = record(
    line1=TEXT, city=TEXT, country=st.sampled_from(["DE", "FR", "US"]), postal_code=TEXT, state=st.just("BY")
)
SHIPPING = st.fixed_dictionaries(
    {"name": TEXT, "address": st.fixed_dictionaries({"line1": TEXT}, optional={"city": TEXT})},
    optional={"phone": st.just("+49 1")},
)
PERIOD = st.integers(1, 100).map(lambda n: {"start": NOW - n * 86_400, "end": NOW + n * 86_400})


# -- the tables ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A table: what a creation needs and may have, and what an update may change.

    ``paths`` says of a column by which parameter Stripe takes it, where that has another name; ``wholes`` are
    those objects that Stripe replaces as a whole.
    """

    path: str
    needed: Mapping[str, Strategy]
    optional: Mapping[str, Strategy] = field(default_factory=dict)
    changed: Mapping[str, Strategy] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)  # sent along with a creation
    deleted: bool = False
    actions: Mapping[tuple[str, str], str] = field(default_factory=dict)  # column and value: operation
    told_once: tuple[str, ...] = ()  # columns that only the answer to the creation has

    def action(self, column: str, value: Value) -> str | None:
        """The operation that a change of the column is."""
        return self.actions.get((column, value)) if isinstance(value, str) else None


_CUSTOMER: dict[str, Strategy] = {
    "name": optional(TEXT),
    "email": optional(st.sampled_from(["a@b.example", "ada+x@b.example"])),
    "description": optional(TEXT),
    "phone": optional(st.sampled_from(["+49 30 1", "123"])),
    "metadata": METADATA,
    "address": optional(ADDRESS),
    "shipping": optional(SHIPPING),
    "tax_exempt": st.sampled_from(["none", "exempt", "reverse"]),
    "preferred_locales": optional(st.lists(st.sampled_from(["de", "en", "fr"]), unique=True)),
    "invoice_settings": record(footer=TEXT),
    "balance": st.integers(-1000, 1000),
}
_PRODUCT: dict[str, Strategy] = {
    "name": TEXT,
    "description": optional(TEXT),
    "active": FLAG,
    "metadata": METADATA,
    "unit_label": optional(st.sampled_from(["seat", "kWh"])),
    "url": optional(st.just("https://a.example/?b=c&d=e")),
    "shippable": FLAG,
    "images": optional(
        st.lists(st.sampled_from(["https://a.example/1.png", "https://a.example/2.png"]), unique=True)
    ),
    "package_dimensions": st.fixed_dictionaries(
        {name: st.sampled_from([1.0, 2.5, 10.0]) for name in ("height", "length", "weight", "width")}
    ),
    "marketing_features": optional(st.lists(st.fixed_dictionaries({"name": TEXT}), max_size=3)),
    "statement_descriptor": st.just("ACME"),
}
_INVOICE: dict[str, Strategy] = {
    "description": optional(TEXT),
    "footer": optional(TEXT),
    "metadata": METADATA,
    "auto_advance": FLAG,
    "custom_fields": st.lists(
        st.fixed_dictionaries({"name": CODE, "value": TEXT.filter(lambda text: len(text) < 30)}),
        min_size=1,
        max_size=2,
    ),
}
_INTENT: dict[str, Strategy] = {
    "description": optional(TEXT),
    "metadata": METADATA,
    "receipt_email": optional(st.just("a@b.example")),
    "shipping": SHIPPING,
    "statement_descriptor_suffix": st.just("ORDER"),
}
TABLES: dict[str, Table] = {
    "customer": Table("customers", {}, _CUSTOMER, _CUSTOMER, deleted=True),
    "product": Table("products", {"name": TEXT}, _PRODUCT, _PRODUCT, deleted=True),
    "price": Table(
        "prices",
        {"product": st.just(Ref("product")), "currency": st.just("eur"), "unit_amount": AMOUNT},
        {
            "nickname": optional(TEXT),
            "metadata": METADATA,
            "lookup_key": CODE,
            "tax_behavior": st.sampled_from(["inclusive", "exclusive"]),
            "recurring": st.fixed_dictionaries(
                {"interval": st.sampled_from(["day", "week", "month"])},
                optional={"interval_count": st.integers(1, 3)},
            ),
        },
        {"nickname": optional(TEXT), "active": FLAG, "metadata": METADATA, "lookup_key": CODE},
    ),
    "coupon": Table(
        "coupons",
        {
            "percent_off": st.sampled_from([Decimal("12.5"), Decimal(10), Decimal("99.99")]),
            "duration": st.sampled_from(["once", "forever"]),
        },
        {"name": optional(TEXT.map(lambda text: text[:30])), "metadata": METADATA, "redeem_by": FUTURE}
        | {"max_redemptions": st.integers(1, 50)},
        {"name": TEXT.map(lambda text: text[:30]), "metadata": METADATA},
        deleted=True,
    ),
    "promotion_code": Table(
        "promotion_codes",
        {"coupon": st.just(Ref("coupon"))},
        {
            "code": CODE,
            "active": FLAG,
            "customer": st.just(Ref("customer")),
            "expires_at": FUTURE,
            "max_redemptions": st.integers(1, 9),
            "metadata": METADATA,
            "restrictions": st.just({"first_time_transaction": True}),
        },
        {"metadata": METADATA, "active": FLAG},
        paths={"coupon": "promotion[coupon]"},
        also={"promotion[type]": "coupon"},
    ),
    "tax_rate": Table(
        "tax_rates",
        {
            "display_name": TEXT.filter(lambda text: len(text) < 50),
            "percentage": st.sampled_from([Decimal(19), Decimal("7.7")]),
            "inclusive": FLAG,
        },
        {"country": st.just("DE"), "jurisdiction": TEXT.filter(lambda text: len(text) < 50)}
        | {"description": optional(TEXT), "metadata": METADATA, "active": FLAG},
        {"active": FLAG, "description": TEXT, "metadata": METADATA, "display_name": st.just("MwSt")},
    ),
    "subscription": Table(
        "subscriptions",
        {
            "customer": st.just(Ref("customer")),
            "items": st.integers(1, 5).map(lambda n: [{"price": Ref("price"), "quantity": n}]),
        },
        {
            "description": optional(TEXT),
            "metadata": METADATA,
            "trial_end": FUTURE,
            "cancel_at_period_end": FLAG,
        },
        {
            "description": optional(TEXT),
            "metadata": METADATA,
            "cancel_at_period_end": FLAG,
            "default_payment_method": st.just(Ref("payment_method")),
            "pause_collection": optional(
                st.sampled_from(
                    [{"behavior": "void"}, {"behavior": "keep_as_draft", "resumes_at": NOW + 9**7}]
                )
            ),
        },
        deleted=True,
    ),
    "invoice": Table("invoices", {"customer": st.just(Ref("customer"))}, _INVOICE, _INVOICE, deleted=True),
    "invoiceitem": Table(
        "invoiceitems",
        {"customer": st.just(Ref("customer")), "amount": AMOUNT, "currency": st.just("eur")},
        {"description": optional(TEXT), "metadata": METADATA, "discountable": FLAG, "period": PERIOD},
        {"description": TEXT, "metadata": METADATA, "discountable": FLAG, "amount": AMOUNT, "period": PERIOD},
        deleted=True,
    ),
    "payment_intent": Table(
        "payment_intents",
        {"amount": AMOUNT, "currency": st.sampled_from(["eur", "usd"])},
        {**_INTENT, "customer": st.just(Ref("customer"))},
        {**_INTENT, "amount": AMOUNT, "currency": st.sampled_from(["eur", "usd"])},
        actions={("status", "canceled"): "cancel"},
    ),
    "setup_intent": Table(
        "setup_intents",
        {},
        {"description": optional(TEXT), "metadata": METADATA, "customer": st.just(Ref("customer"))},
        {"description": TEXT, "metadata": METADATA},
        actions={("status", "canceled"): "cancel"},
    ),
    "shipping_rate": Table(
        "shipping_rates",
        {
            "display_name": TEXT,
            "type": st.just("fixed_amount"),
            "fixed_amount": AMOUNT.map(lambda amount: {"amount": amount, "currency": "eur"}),
        },
        {"metadata": METADATA},
        {"metadata": METADATA, "active": FLAG},
    ),
    "webhook_endpoint": Table(
        "webhook_endpoints",
        {
            "url": st.just("https://a.example/hook?x=y"),
            "enabled_events": st.just(["customer.created", "invoice.paid"]),
        },
        {"description": TEXT, "metadata": METADATA},
        {
            "description": optional(TEXT),
            "metadata": METADATA,
            "enabled_events": st.sampled_from(
                [["*"], ["customer.created"], ["invoice.paid", "charge.failed"]]
            ),
        },
        deleted=True,
        told_once=("secret",),
    ),
}


# -- requests as Stripe documents them -----------------------------------------------------------------------


def encode(value: Value) -> str:
    """One value in a form."""
    if value is None or value == []:
        return ""  # unsets
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value.timestamp())) if isinstance(value, datetime) else str(value)


def form(name: str, value: Value) -> dict[str, str]:
    """A value as fields of a form: ``items[0][price]``."""
    if isinstance(value, dict):
        return {
            key: text for step, below in value.items() for key, text in form(f"{name}[{step}]", below).items()
        }
    if isinstance(value, list) and value:
        below = [form(f"{name}[{number}]", item) for number, item in enumerate(value)]
        return {key: text for item in below for key, text in item.items()}
    return {name: encode(value)}


def replacing(old: Json, new: Mapping[str, Value]) -> dict[str, Value]:
    """Parameters that turn the old object into the new one; missing fields are unset."""
    gone = {name: None for name, value in old.items() if value is not None and name not in new}
    parameters: dict[str, Value] = {}
    for name, value in new.items():
        before = old.get(name)
        parameters[name] = (
            replacing(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
        )
    return gone | parameters


# -- the two sides -------------------------------------------------------------------------------------------


class Side:
    """A Stripe, and the objects that both have from the start."""

    def __init__(self, stripe: SimulatorProcess) -> None:
        self.stripe = stripe
        self.bare = BareStripe(stripe.url, KEY)
        self.refs: dict[str, str] = {}

    def furnish(self) -> None:
        """Make the objects that others refer to."""
        post = self.bare.post
        self.refs["product"] = post("products", name="Thing")["id"]
        recurring = {"recurring[interval]": "month", "currency": "eur", "unit_amount": 500}
        self.refs["price"] = post("prices", recurring, product=self.refs["product"])["id"]
        self.refs["coupon"] = post("coupons", percent_off=10, duration="once")["id"]
        customer = self.refs["customer"] = post("customers", name="Payer")["id"]
        card = post("payment_methods/pm_card_visa/attach", customer=customer)["id"]
        self.refs["payment_method"] = card
        post(f"customers/{customer}", {"invoice_settings[default_payment_method]": card})

    def resolved(self, value: Value) -> Value:
        """A value with the ids of this side."""
        if isinstance(value, Ref):
            return self.refs[value.name]
        if isinstance(value, dict):
            return {name: self.resolved(below) for name, below in value.items()}
        return [self.resolved(below) for below in value] if isinstance(value, list) else value

    def writes(self) -> list[str]:
        """Writing requests since the last call."""
        written = [
            f"{item['method']} {item['path']} {item['form']}"
            for item in self.stripe.requests()
            if item["method"] != "GET"
        ]
        self.stripe.control("DELETE", "/requests")
        return written


@pytest.fixture(scope="module")
def sides(simulators: Simulators) -> tuple[Side, Side]:
    """The one that SQL writes to, and the one that is called over HTTP."""
    both_sides = (
        Side(simulators("written by SQL", customers=3, seed=21)),
        Side(simulators("written over HTTP", customers=3, seed=21)),
    )
    for side in both_sides:
        side.furnish()
    return both_sides


@pytest.fixture(scope="module")
def session(database: str, host: str, sides: tuple[Side, Side]) -> Iterator[tuple[psycopg.Connection, str]]:
    """A session, and the schema with the tables."""
    with psycopg.connect(database, autocommit=True) as connection:
        servers = Servers(connection, host)
        options = {"api_base": sides[0].stripe.url, "max_requests_per_second": 10_000}
        yield connection, servers(*TABLES, mapping={"api_key": KEY}, **options).name
        servers.drop()


ID = re.compile(r"[a-z]{2,7}_[A-Za-z0-9_]{8,}")
TIMES = range(1_500_000_000, 4_000_000_000)


def same(mine: Any, theirs: Any, their_ids: dict[str, str], where: str) -> list[str]:
    """Differences of two objects, ids and the present time aside."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        if set(mine) != set(theirs):
            return [f"{where}: {sorted(set(mine) ^ set(theirs))} only in one"]
        return [
            line for name in mine for line in same(mine[name], theirs[name], their_ids, f"{where}.{name}")
        ]
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        both = enumerate(zip(mine, theirs, strict=True))
        return [line for number, pair in both for line in same(*pair, their_ids, f"{where}[{number}]")]
    if isinstance(mine, str) and isinstance(theirs, str) and ID.search(mine) and ID.search(theirs):
        pairs = list(zip(ID.findall(mine), ID.findall(theirs), strict=False))
        if ID.sub("", mine) == ID.sub("", theirs) and all(
            their_ids.setdefault(*pair) == pair[1] for pair in pairs
        ):
            return []
    if type(mine) is int and type(theirs) is int and mine in TIMES and abs(mine - theirs) <= 5:
        return []
    return (
        []
        if mine == theirs and type(mine) is type(theirs)
        else [f"{where}: {mine!r} by SQL, {theirs!r} by HTTP"]
    )


class Pair:
    """An object that is on both sides, changed on both in the same way."""

    def __init__(self, name: str, session: tuple[psycopg.Connection, str], sides: tuple[Side, Side]) -> None:
        self.name = name
        self.table = TABLES[name]
        self.db, schema = session
        self.target = sql.Identifier(schema, name)
        self.mine, self.theirs = sides
        self.their_ids = {self.mine.refs[ref]: self.theirs.refs[ref] for ref in self.mine.refs}
        self.ids: tuple[str, str] = ("", "")

    def create(self, columns: Mapping[str, Value], params: Mapping[str, Value]) -> None:
        """INSERT, and POST of what the row gives."""
        row = {**columns, **({"_params": dict(params)} if params else {})}
        statement = sql.SQL("insert into {} ({}) values ({}) returning *").format(
            self.target,
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(self._literal(value) for value in row.values()),
        )
        fields = dict(self.table.also)
        for name, value in {**columns, **params}.items():
            if value is not None and value != []:  # NULL is not given
                fields |= form(self.table.paths.get(name, name), self.theirs.resolved(value))
        returned, answer = self._both(statement, lambda: self.theirs.bare.post(self.table.path, fields))
        if returned is not None and answer is not None:
            self.ids = returned["id"], answer["id"]
            self.their_ids[returned["id"]] = answer["id"]
            self.compare(returned)

    def update(self, columns: Mapping[str, Value], params: Mapping[str, Value]) -> None:
        """UPDATE, and POST of what that changes."""
        row = {**columns, **({"_params": dict(params)} if params else {})}
        actions = [action for action in (self.table.action(*item) for item in columns.items()) if action]
        now = self.theirs.bare.get(f"{self.table.path}/{self.ids[1]}")
        fields: dict[str, str] = {}
        for name, value in {**columns, **params}.items():
            if self.table.action(name, value):
                continue
            sent, before = self.theirs.resolved(value), now.get(name)
            if name in columns and isinstance(sent, dict) and isinstance(before, dict):
                sent = replacing(before, sent)
            fields |= form(self.table.paths.get(name, name), sent)

        def post() -> Json:
            path = f"{self.table.path}/{self.ids[1]}"
            answer = self.theirs.bare.post(path, fields) if fields else now
            for action in actions:
                answer = self.theirs.bare.post(f"{path}/{action}")
            return answer

        returned, _ = self._both(self._update(row), post)
        self.compare(returned)

    def repeat(self, columns: Mapping[str, Value]) -> None:
        """UPDATE of every column to what it is: nothing is sent."""
        names = [name for name, value in columns.items() if not self.table.action(name, value)]
        if not names:
            return
        assignments = sql.SQL(", ").join(sql.SQL("{0} = {0}").format(sql.Identifier(name)) for name in names)
        self.mine.writes()
        self.db.execute(
            sql.SQL("update {} set {} where id = {}").format(self.target, assignments, self.ids[0])
        )
        assert self.mine.writes() == []

    def delete(self) -> None:
        """DELETE on both sides."""
        statement = sql.SQL("delete from {} where id = {} returning id").format(self.target, self.ids[0])
        self._both(statement, lambda: self.theirs.bare.delete(f"{self.table.path}/{self.ids[1]}"))
        self.compare(None)

    def compare(self, returned: Mapping[str, Any] | None) -> None:
        """Both have the same object, and RETURNING gave what SELECT gives."""
        objects = [
            self._raw(side, identifier)
            for side, identifier in zip((self.mine, self.theirs), self.ids, strict=True)
        ]
        assert same(objects[0], objects[1], dict(self.their_ids), self.name) == []
        if returned is not None:
            query = sql.SQL("select * from {} where id = {}").format(self.target, self.ids[0])
            selected = self._row(query)
            # Multicorn2 does not say what RETURNING names, so the answer to a write is not expanded there.
            hidden = self._expanded() if self.db.info.dbname == "multicorn2" else set()
            assert self._later(selected, hidden) == self._later(returned, hidden)

    def _expanded(self) -> set[str]:
        """The columns that Stripe sends only where a request expands them."""
        return {column.name for column in load().resource[self.name].columns if column.expand}

    def _later(self, row: Mapping[str, Any] | None, hidden: Collection[str] = ()) -> Mapping[str, Any] | None:
        """The row without what Stripe only tells once, and without hidden columns."""
        once = {*self.table.told_once, *hidden}
        if row is None or not once:
            return row
        raw = {name: value for name, value in row["_raw"].items() if name not in once}
        return {name: value for name, value in row.items() if name not in once} | {"_raw": raw}

    def _raw(self, side: Side, identifier: str) -> Json:
        try:
            return side.bare.get(f"{self.table.path}/{identifier}")
        except StripeError as error:
            return {"status": error.status, "code": error.error.get("code")}

    def _update(self, row: Mapping[str, Value]) -> sql.Composed:
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), self._literal(value))
            for name, value in row.items()
        )
        return sql.SQL("update {} set {} where id = {} returning *").format(
            self.target, assignments, self.ids[0]
        )

    def _literal(self, value: Value) -> sql.Composable:
        resolved = self.mine.resolved(value)
        return sql.Literal(Jsonb(resolved) if isinstance(resolved, dict | list) else resolved)

    def _row(self, query: sql.Composable) -> dict[str, Any] | None:
        cursor = self.db.execute(query)
        record = cursor.fetchone()
        return (
            None
            if record is None
            else dict(zip((item.name for item in cursor.description or ()), record, strict=True))
        )

    def _both(
        self, statement: sql.Composable, act: Callable[[], Json]
    ) -> tuple[dict[str, Any] | None, Json | None]:
        """Do it on both sides; it succeeds on both or fails on both."""
        note(statement.as_string(self.db))
        mine: dict[str, Any] | None = None
        theirs: Json | None = None
        errors: list[Exception | None] = [None, None]
        try:
            mine = self._row(statement)
        except psycopg.Error as error:
            errors[0] = error
        try:
            theirs = act()
        except StripeError as error:
            errors[1] = error
        assert (errors[0] is None) == (errors[1] is None), errors
        return mine, theirs


Fields = dict[str, Value]


@dataclass(frozen=True)
class Life:
    """The creation and the changes of one object, and its deletion if any.

    Each step sets some columns, and some of them as further parameters instead.
    """

    creation: tuple[Fields, Fields]
    changes: list[tuple[Fields, Fields]]
    deleted: bool


@st.composite
def lives(draw: st.DrawFn, table: Table) -> Life:
    """A life of an object of the table."""
    needed = {name: draw(strategy) for name, strategy in table.needed.items()}
    optional = {name: draw(table.optional[name]) for name in _some(draw, table.optional, 4)}
    changes = []
    for _ in range(draw(st.integers(1, 4))):
        chosen = {name: draw(table.changed[name]) for name in _some(draw, table.changed, 4)}
        changes.append(_split(draw, chosen))
    if table.actions and draw(st.booleans()):
        changes.append((dict([draw(st.sampled_from(sorted(table.actions)))]), {}))
    return Life(_split(draw, {**needed, **optional}), changes, table.deleted and draw(st.booleans()))


def _some(draw: st.DrawFn, fields: Mapping[str, Strategy], most: int) -> list[str]:
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=most, unique=True))
    if "metadata" in fields and draw(st.booleans()):  # the field most often changed
        chosen.append("metadata")
    return chosen


def _split(draw: st.DrawFn, chosen: Fields) -> tuple[Fields, Fields]:
    """Move a few of the columns to further parameters."""
    moved = (
        draw(st.sets(st.sampled_from(sorted(chosen)), max_size=1)) if draw(st.integers(0, 3)) == 3 else set()
    )
    parameters = {name for name in moved if isinstance(chosen[name], str | bool | int)}
    columns = {name: value for name, value in chosen.items() if name not in parameters}
    return columns, {name: chosen[name] for name in parameters}


@pytest.mark.parametrize("name", TABLES)
def test_rows_do_what_calls_of_the_api_do(
    name: str, session: tuple[psycopg.Connection, str], sides: tuple[Side, Side]
) -> None:
    table = TABLES[name]

    @settings(COMMON, max_examples=(5 + len(table.optional)) * (HUNT or 1))
    @given(lives(table))
    def check(life: Life) -> None:
        pair = Pair(name, session, sides)
        pair.create(*life.creation)
        if pair.ids == ("", ""):
            return
        for columns, params in life.changes:
            pair.update(columns, params)
            pair.repeat(columns)
        if life.deleted:
            pair.delete()

    check()
    counts = [len(list(side.bare.list(table.path))) for side in sides]
    assert counts[0] == counts[1]
