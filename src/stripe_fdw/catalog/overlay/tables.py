"""What the SDK's types cannot say. Written by hand, small, each entry with its reason.

Sources: Stripe's API reference as it stands in the SDK's own docstrings, and the pages named beside the
entries. Everything else in the catalog is read from the SDK (``catalog.from_sdk``). An entry that no longer
fits the SDK makes the build fail.
"""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.catalog.model import Column, Freshness, Kind

# ---------------------------------------------------------------------------------------------- tables

# Lists that are no table.
LISTS_LEFT_OUT = {
    # Computed from a credit note that does not exist yet; its lines need the parameters of creating one.
    "/v1/credit_notes/preview/lines": "a preview",
    # Every row stands in payment_method, which has the filter `customer`.
    "/v1/customers/{customer}/payment_methods": "the rows of payment_method",
}

# The lists under /v2 page by next_page_url and not by starting_after, write times as text (RFC 3339) and take
# JSON, not forms. They are reached with stripe_live.call, not as tables.
VERSION_WITHOUT_TABLES = "/v2/"

# Tables not named by the rules of from_sdk/names.py: path → (name, reason).
TABLE_NAMES = {
    # /v1/tax_ids lists those of the account itself by default, this one those of a customer: other rows.
    "/v1/customers/{customer}/tax_ids": "customer_tax_id",
    # "account_external_account" says it twice; Stripe's word is external account.
    "/v1/accounts/{account}/external_accounts": "external_account",
}

# Product areas by namespace of the SDK, where Stripe's own table of contents has another word.
NAMESPACE_AREAS = {
    "billing_portal": "billing",
    "entitlements": "billing",  # a part of Billing in Stripe's API reference
    "test_helpers": "billing",  # test clocks, which serve Billing alone
    "product_catalog": "products",
    "three_d_secure": "payments",
    "forwarding": "payments",
}

# Product areas of the objects that the SDK keeps outside any namespace, as Stripe's API reference has them.
_AREAS = {
    "core": "balance_transaction country_spec customer event exchange_rate file file_link webhook_endpoint",
    "payments": "apple_pay_domain charge customer_cash_balance_transaction customer_source dispute"
    " payment_attempt_record payment_intent payment_intent_amount_details_line_item payment_link"
    " payment_link_line_item payment_method payment_method_configuration payment_method_domain payment_record"
    " payout refund setup_attempt setup_intent source_transaction topup",
    "checkout": "checkout_session_line_item",
    "products": "coupon price product product_feature promotion_code shipping_rate tax_code tax_rate",
    "billing": "credit_note credit_note_line_item customer_balance_transaction customer_tax_id invoice"
    " line_item invoice_payment invoice_rendering_template invoiceitem plan quote quote_line_item"
    " quote_computed_upfront_line_item subscription subscription_item subscription_schedule tax_id",
    "connect": "account application_fee capability external_account fee_refund person transfer"
    " transfer_reversal",
    "radar": "review",
    "sigma": "scheduled_query_run",
}
AREAS = {name: area for area, names in _AREAS.items() for name in names.split()}

# How ids begin (https://docs.stripe.com/api, the example of each object): for examples and made-up objects.
_ID_PREFIXES = """
    account=acct_ application_fee=fee_ apps_secret=appsecret_ apple_pay_domain=apwc_
    balance_transaction=txn_ billing_alert=alrt_ billing_credit_balance_transaction=cbtxn_
    billing_credit_grant=credgr_ billing_meter=mtr_ billing_meter_event_summary=mtrusg_
    billing_portal_configuration=bpc_ charge=ch_ checkout_session=cs_ checkout_session_line_item=li_
    climate_order=climorder_ climate_product=climsku_ climate_supplier=climsup_ credit_note=cn_
    credit_note_line_item=cnli_ customer=cus_ customer_balance_transaction=cbtxn_
    customer_cash_balance_transaction=ccsbtxn_ customer_source=src_ customer_tax_id=txi_ dispute=dp_
    entitlements_active_entitlement=ent_ entitlements_feature=feat_ event=evt_ external_account=ba_
    fee_refund=fr_ file=file_ file_link=link_ financial_connections_account=fca_
    financial_connections_account_owner=fcaown_ financial_connections_transaction=fctxn_
    forwarding_request=fwdreq_ identity_verification_report=vr_ identity_verification_session=vs_
    invoice=in_ line_item=il_ invoice_payment=inpay_ invoice_rendering_template=inrtem_
    invoiceitem=ii_ issuing_authorization=iauth_ issuing_card=ic_ issuing_cardholder=ich_
    issuing_dispute=idp_ issuing_personalization_design=ipd_ issuing_physical_bundle=ics_
    issuing_token=intok_ issuing_transaction=ipi_ payment_attempt_record=par_ payment_intent=pi_
    payment_intent_amount_details_line_item=uli_ payment_link=plink_ payment_link_line_item=li_
    payment_method=pm_ payment_method_configuration=pmc_ payment_method_domain=pmd_ payment_record=pr_
    payout=po_ person=person_ plan=plan_ price=price_ product=prod_ product_feature=prodft_
    promotion_code=promo_ quote=qt_ quote_computed_upfront_line_item=li_ quote_line_item=li_
    radar_early_fraud_warning=issfr_ radar_value_list=rsl_ radar_value_list_item=rsli_ refund=re_
    reporting_report_run=frr_ review=prv_ scheduled_query_run=sqr_ setup_attempt=setatt_ setup_intent=seti_
    shipping_rate=shr_ source_transaction=srctxn_ subscription=sub_ subscription_item=si_
    subscription_schedule=sub_sched_ tax_calculation_line_item=tax_li_ tax_code=txcd_ tax_id=txi_
    tax_location=taxloc_ tax_rate=txr_ tax_registration=taxreg_ tax_transaction_line_item=tax_li_
    terminal_configuration=tmc_ terminal_location=tml_ terminal_reader=tmr_ test_helpers_test_clock=clock_
    three_d_secure_authentication=tdsa_ topup=tu_ transfer=tr_ transfer_reversal=trr_
    treasury_credit_reversal=credrev_ treasury_debit_reversal=debrev_ treasury_financial_account=fa_
    treasury_inbound_transfer=ibt_ treasury_outbound_payment=obp_ treasury_outbound_transfer=obt_
    treasury_received_credit=rc_ treasury_received_debit=rd_ treasury_transaction=trxn_
    treasury_transaction_entry=trxne_ webhook_endpoint=we_
"""
ID_PREFIXES = dict(entry.split("=") for entry in _ID_PREFIXES.split())

# ------------------------------------------------------------------------------------- lists and rows


@dataclass(frozen=True)
class Listing:
    """Parameters that make a list show every row, and further lists for those it still hides."""

    parameters: tuple[tuple[str, str], ...] = ()
    further: tuple[tuple[tuple[str, str], ...], ...] = ()


LIST_DEFAULTS = {
    # "If no value is supplied, all subscriptions that have not been canceled are returned."
    "subscription": Listing((("status", "all"),)),
    # The filter knows `all` beside the states; what is listed without it is not said.
    "tax_registration": Listing((("status", "all"),)),
    # "Returns a list of your active prices … For the list of inactive prices, set active to false." There is
    # no value for both, so both are read. (Of plans and products nothing of the kind is said.)
    "price": Listing((("active", "true"),), ((("active", "false"),),)),
    # "Unfiltered, the list returns all payment method types except `custom`."
    "payment_method": Listing((), ((("type", "custom"),),)),
    # Without a scope there is no list; secrets of single users need their user.
    "apps_secret": Listing((("scope[type]", "account"),)),
    # The one kind there is, and it must be said.
    "tax_location": Listing((("type", "performance"),)),
}

# Lists whose rows have `created` but do not come newest first, as https://docs.stripe.com/api/pagination says
# that lists do.
OTHER_ORDER = {
    "subscription_item",  # in the order of the subscription's items
    "climate_product",  # a catalogue, in Stripe's order
    "external_account",  # the default one first
    "customer_source",  # the default one first
}

# What a reader of a table should know: lists that cannot be made to show everything.
NOTES: dict[str, tuple[str, ...]] = {
    "account": ("The connected accounts; not the account that owns the key.",),
    "apps_secret": ("The account's secrets; those of one user with scope_user.",),
    "balance_transaction": ("The filter `source` is not pushed: it is about related objects, too.",),
    "customer": ("Customers on a test clock are listed only with test_clock.",),
    "quote": ("Quotes on a test clock are listed only with test_clock or customer.",),
    "subscription": ("Subscriptions on a test clock are listed only with test_clock or customer.",),
    "subscription_schedule": ("Schedules of customers on a test clock are listed only with customer.",),
    "price": ("Inline prices, made for one subscription or invoice, are not listed; they are found by id.",),
    "event": ("Stripe keeps events for 30 days.",),
    "review": ("Only open reviews are listed; closed ones are found by id.",),
    "tax_id": ("The account's own tax ids; a customer's with owner_customer, or in customer_tax_id.",),
    "reporting_report_type": ("Not paged: one request lists all.",),
    "capability": ("Not paged: one request lists all.",),
    "billing_meter_event_summary": ("Computed for the customer and the window asked for.",),
}

# ------------------------------------------------------------------------------------------- filters


@dataclass(frozen=True)
class FilterNote:
    """How a parameter of a list differs from a plain "this field equals that"."""

    left_out: str = ""  # why it is no filter
    column: str = ""  # the column it selects on, if not the one of its name
    path: tuple[str, ...] | None = None  # where the object has the value
    pick: str = ""
    references: tuple[str, ...] = ()
    values: tuple[str, ...] = ()  # the only values that it takes
    not_values: tuple[str, ...] = ()  # literals that are no value of the column
    exact: bool | None = None  # None: exact, unless NEVER_EXACT has it
    defaulted: bool = False  # required, but LIST_DEFAULTS gives it
    also: tuple[tuple[str, str], ...] = ()
    most: int = 0


# Parameters that order or page and select nothing, on whatever list.
ANY_FILTER_LEFT_OUT = {"order_by": "orders rows"}

# Filters that Stripe may compare with leniency (letter case, several currencies of one price), on whatever
# list: the answer holds what the qual selects and maybe more.
NEVER_EXACT = {"currency", "email", "url", "domain_name", "phone_number"}

FILTERS: dict[tuple[str, str], FilterNote] = {
    ("customer", "email"): FilterNote(exact=True),  # documented as case-sensitive, on this field
    ("subscription", "status"): FilterNote(not_values=("all", "ended")),  # `all`, and `ended` of two states
    ("tax_registration", "status"): FilterNote(not_values=("all",)),
    # Since 2025-03-31.basil a subscription's period stands on its items; the filters' docs say which counts.
    ("subscription", "current_period_end"): FilterNote(
        path=("items", "data", "current_period_end"), pick="min"
    ),
    ("subscription", "current_period_start"): FilterNote(
        path=("items", "data", "current_period_start"), pick="max"
    ),
    ("subscription", "price"): FilterNote(path=("items", "data", "price", "id"), references=("price",)),
    ("subscription", "plan"): FilterNote(path=("items", "data", "plan", "id"), references=("plan",)),
    # Since 2025-03-31.basil under `parent`.
    ("invoice", "subscription"): FilterNote(
        path=("parent", "subscription_details", "subscription"), references=("subscription",)
    ),
    # Invoice items call their creation `date`.
    ("invoiceitem", "created"): FilterNote(path=("date",)),
    # Since 2025-09-30.clover under `promotion`.
    ("promotion_code", "coupon"): FilterNote(path=("promotion", "coupon"), references=("coupon",)),
    ("promotion_code", "code"): FilterNote(exact=False),  # documented as case-insensitive
    ("invoice_payment", "payment[payment_intent]"): FilterNote(
        column="payment_intent", path=("payment", "payment_intent"), references=("payment_intent",)
    ),
    ("invoice_payment", "payment[payment_record]"): FilterNote(
        column="payment_record", path=("payment", "payment_record"), references=("payment_record",)
    ),
    # A shipping rate can have several currencies; its amount is in one.
    ("shipping_rate", "currency"): FilterNote(path=("fixed_amount", "currency")),
    ("billing_alert", "meter"): FilterNote(
        path=("usage_threshold", "meter"), references=("billing_meter",)
    ),
    ("balance_transaction", "payout"): FilterNote(references=("payout",)),  # not in the object
    ("balance_transaction", "source"): FilterNote(
        left_out="about associated objects: neither all of one source nor only those of it"
    ),
    ("charge", "transfer_group"): FilterNote(left_out="limited to 100 charges, so it can lose rows"),
    ("event", "type"): FilterNote(left_out="`types` does the same for several, and takes no wildcard"),
    ("event", "types"): FilterNote(most=20),
    ("price", "lookup_keys"): FilterNote(most=10),
    ("product", "ids"): FilterNote(left_out="products are retrieved by id; this list cannot be paged"),
    ("payment_record", "created_after"): FilterNote(left_out="two parameters instead of a range"),
    ("payment_record", "created_before"): FilterNote(left_out="two parameters instead of a range"),
    ("payout", "status"): FilterNote(values=("pending", "paid", "failed", "canceled")),  # not in_transit
    ("subscription_schedule", "scheduled"): FilterNote(left_out="knows only `true`; status says it"),
    ("radar_value_list_item", "value"): FilterNote(exact=False),  # documented as an "is like" match
    # Takes the id of a VerificationIntent, too.
    ("identity_verification_report", "verification_session"): FilterNote(exact=False),
    ("financial_connections_transaction", "transaction_refresh[after]"): FilterNote(
        left_out="selects what a later refresh brought, which no column says"
    ),
    ("treasury_transaction", "status_transitions[posted_at]"): FilterNote(
        left_out="needs status=posted and another order"
    ),
    ("treasury_transaction_entry", "effective_at"): FilterNote(
        left_out="undocumented, and may need another order"
    ),
    ("billing_meter_event_summary", "start_time"): FilterNote(column="window_start"),  # holds many
    ("billing_meter_event_summary", "end_time"): FilterNote(column="window_end"),
    # The other scope and the other owners need their id as well, whose filters send the type along.
    ("apps_secret", "scope[type]"): FilterNote(defaulted=True, values=("account",)),
    ("tax_id", "owner[type]"): FilterNote(values=("application", "self")),
    ("setup_intent", "attach_to_self"): FilterNote(left_out="described for creation, not as a filter"),
    # A connected account without a default of its own is answered with its platform's.
    ("issuing_personalization_design", "preferences[is_default]"): FilterNote(exact=False),
    ("issuing_personalization_design", "preferences[is_platform_default]"): FilterNote(
        left_out="only applicable to connected accounts"
    ),
    ("price", "recurring[meter]"): FilterNote(
        path=("recurring", "meter"), references=("billing_meter",)
    ),
    ("product_catalog_trial_offer", "created"): FilterNote(left_out="the object does not say it"),
    ("tax_location", "type"): FilterNote(defaulted=True),
}  # fmt: skip

# ------------------------------------------------------------------------------------------- columns

# Columns that are worth having and lie deeper in the object, as (table, columns, why).
_PRICING = ("pricing", "price_details")
DERIVED_COLUMNS: dict[str, tuple[Column, ...]] = {
    # What every query on a customer's payments starts with.
    "customer": (
        Column(
            "default_payment_method",
            Kind.REFERENCE,
            ("invoice_settings", "default_payment_method"),
            references=("payment_method",),
        ),
    ),
    # Since 2025-03-31.basil under `parent`.
    "invoice": (
        Column("quote", Kind.REFERENCE, ("parent", "quote_details", "quote"), references=("quote",)),
    ),
    # Since 2025-03-31.basil under `parent` and `pricing`.
    "line_item": (
        Column("price", Kind.REFERENCE, (*_PRICING, "price"), references=("price",)),
        Column("product", Kind.REFERENCE, (*_PRICING, "product"), references=("product",)),
        Column(
            "subscription_item",
            Kind.REFERENCE,
            ("parent", "subscription_item_details", "subscription_item"),
            references=("subscription_item",),
        ),
    ),
    "invoiceitem": (
        Column("price", Kind.REFERENCE, (*_PRICING, "price"), references=("price",)),
        Column("product", Kind.REFERENCE, (*_PRICING, "product"), references=("product",)),
        Column(
            "subscription",
            Kind.REFERENCE,
            ("parent", "subscription_details", "subscription"),
            references=("subscription",),
        ),
    ),
}

# Text fields that hold an id and are not called as the object: (table, column) → table.
REFERENCES: dict[tuple[str, str], str] = {
    ("apps_install", "created_by"): "account",
    ("billing_meter_event_summary", "meter"): "billing_meter",
    ("checkout_session", "recovered_from"): "checkout_session",
    ("financial_connections_transaction", "account"): "financial_connections_account",  # not Connect's
    ("identity_verification_report", "verification_session"): "identity_verification_session",
    ("identity_verification_session", "related_customer"): "customer",
    ("issuing_card", "financial_account"): "treasury_financial_account",
    ("payment_record", "latest_payment_attempt_record"): "payment_attempt_record",
    ("radar_value_list_item", "value_list"): "radar_value_list",
    ("reporting_report_run", "report_type"): "reporting_report_type",
    ("subscription_schedule", "released_subscription"): "subscription",
    ("terminal_location", "configuration_overrides"): "terminal_configuration",
    ("treasury_credit_reversal", "financial_account"): "treasury_financial_account",
    ("treasury_debit_reversal", "financial_account"): "treasury_financial_account",
    ("treasury_inbound_transfer", "financial_account"): "treasury_financial_account",
    ("treasury_outbound_payment", "financial_account"): "treasury_financial_account",
    ("treasury_outbound_transfer", "financial_account"): "treasury_financial_account",
    ("treasury_received_credit", "financial_account"): "treasury_financial_account",
    ("treasury_received_debit", "financial_account"): "treasury_financial_account",
    ("treasury_transaction", "financial_account"): "treasury_financial_account",
    ("treasury_transaction_entry", "financial_account"): "treasury_financial_account",
}

# Whole numbers that look like times by their name or description and are none: (table, column) → why.
NOT_TIMES: dict[tuple[str, str], str] = {}

# Whole numbers inside parameters whose names mislead: name → kind.
NESTED_KINDS = {
    "divide_by": Kind.INTEGER,  # how many units are sold as one
    "monthly_anchor": Kind.INTEGER,  # a day of the month
    "start": Kind.TIME,  # of a period, as is its end
    "end": Kind.TIME,
    "timestamp": Kind.TIME,
}

# ------------------------------------------------------------------------------------------- search

# https://docs.stripe.com/search#query-fields-for-each-resource; `metadata` stands for metadata["key"].
SEARCH_FIELDS = {
    "charge": (
        "amount",
        "billing_details.address.postal_code",
        "created",
        "currency",
        "customer",
        "disputed",
        "metadata",
        "payment_method_details.card.brand",
        "payment_method_details.card.exp_month",
        "payment_method_details.card.exp_year",
        "payment_method_details.card.fingerprint",
        "payment_method_details.card.last4",
        "refunded",
        "status",
    ),
    "customer": ("created", "email", "metadata", "name", "phone"),
    "invoice": (
        "created",
        "currency",
        "customer",
        "last_finalization_error_code",
        "last_finalization_error_type",
        "metadata",
        "number",
        "receipt_number",
        "status",
        "subscription",
        "total",
    ),
    "payment_intent": ("amount", "created", "currency", "customer", "metadata", "status"),
    "price": ("active", "currency", "lookup_key", "metadata", "product", "type"),
    "product": ("active", "description", "metadata", "name", "shippable", "url"),
    "subscription": ("canceled_at", "created", "metadata", "status"),
}

# ------------------------------------------------------------------------------------------- events

# Event names that do not begin with the name of the object they carry: beginning → table.
EVENT_TABLES = {
    "account.external_account": "external_account",
    "application_fee.refund": "fee_refund",
    "charge.dispute": "dispute",
    "charge.refund": "refund",
    "customer.source": "customer_source",
    "customer.subscription": "subscription",
    "customer.tax_id": "customer_tax_id",
    "sigma.scheduled_query_run": "scheduled_query_run",
}

# Events that tell of no row: beginning → why.
EVENTS_WITHOUT_TABLE = {
    "account.application": "carries the application, which has no list",
    "balance": "one object an account, no list",
    "balance_settings": "one object an account, no list",
    "billing_portal.session": "sessions of the portal have no list",
    "cash_balance": "one object a customer, no list",
    "customer.discount": "carries the discount, which has no list; the customer's own event comes, too",
    "entitlements.active_entitlement_summary": "carries a summary, not the rows",
    "financial_connections.authorization": "authorizations have no list",
    "invoice.upcoming": "carries a preview, which has no id",
    "mandate": "mandates have no list",
    "reserve": "reserves have no list",
    "source": "sources have no list of their own; a customer's come with customer.source",
    "tax.settings": "one object an account, no list",
}

# Tables of which the events do not tell the whole truth, or of which none are needed: table → (how, why).
FRESHNESS: dict[str, tuple[Freshness, str]] = {
    "event": (Freshness.APPEND, "an event never changes but for its count of pending webhooks"),
    "file": (Freshness.APPEND, "files never change"),
    "customer_balance_transaction": (Freshness.APPEND, "only its description and metadata can change"),
    "balance_transaction": (Freshness.RESCAN, "turns from pending to available without an event"),
    "tax_transaction_line_item": (Freshness.APPEND, "a committed tax transaction never changes"),
    "account": (Freshness.RESCAN, "its changes are told, its creation and deletion are not"),
    "billing_alert": (Freshness.RESCAN, "told only when it is triggered"),
    "capability": (Freshness.RESCAN, "its changes are told, its request is not"),
    "checkout_session": (Freshness.RESCAN, "its end is told, its creation is not"),
    "invoice_payment": (Freshness.RESCAN, "told only when it is paid"),
    "issuing_personalization_design": (Freshness.RESCAN, "its changes are told, its creation is not"),
    "reporting_report_run": (Freshness.RESCAN, "its end is told, its start is not"),
    "terminal_reader": (Freshness.RESCAN, "only its actions are told"),
    "three_d_secure_authentication": (Freshness.RESCAN, "its steps are told, its creation is not"),
    "invoiceitem": (Freshness.RESCAN, "its creation and deletion are told, its changes are not"),
    "climate_product": (Freshness.RESCAN, "only new products and prices are told"),
    "reporting_report_type": (Freshness.RESCAN, "short, and told only when new data arrive"),
    "product_feature": (Freshness.RESCAN, "neither its creation nor its removal is told"),
}

# Rows that lie inside an object and change with it: table → the table whose events tell of them.
FOLLOWS = {
    "checkout_session_line_item": "checkout_session",
    "credit_note_line_item": "credit_note",
    "fee_refund": "application_fee",
    "line_item": "invoice",
    "payment_intent_amount_details_line_item": "payment_intent",
    "payment_link_line_item": "payment_link",
    "quote_computed_upfront_line_item": "quote",
    "quote_line_item": "quote",
    "subscription_item": "subscription",
    "transfer_reversal": "transfer",
}

# What is noted of tables that Stripe tells of, but not when one of its rows is only updated.
SILENT_UPDATES = "No event tells of a plain update: copies see it at the next refresh or event."

# Objects that never change once they are: their `.created` event tells all there is to tell.
IMMUTABLE = {
    "billing_credit_balance_transaction",
    "customer_cash_balance_transaction",
    "scheduled_query_run",  # the event is sent when the run is finished
}

# ------------------------------------------------------------------------------------------- previews


@dataclass(frozen=True)
class Preview:
    """A table that an operation computes."""

    name: str
    operation: str
    base: str
    filters: tuple[str, ...]
    one_of: tuple[str, ...]
    columns: tuple[Column, ...]
    id_prefix: str
    notes: tuple[str, ...]


# The invoice that Stripe would make next: an operation since 2025-03-31.basil, and no object of its own.
UPCOMING_INVOICE = Preview(
    name="upcoming_invoice",
    operation="create_preview",
    base="invoice",
    filters=("customer", "customer_account", "subscription", "schedule"),
    one_of=("customer", "customer_account", "subscription", "schedule"),
    columns=(Column("schedule", Kind.REFERENCE, (), references=("subscription_schedule",)),),
    id_prefix="upcoming_in_",
    notes=("Computed by Stripe on each query; needs customer, customer_account, subscription or schedule.",),
)
