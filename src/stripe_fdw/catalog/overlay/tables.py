"""Tables: the lists that become one, names, areas, id prefixes, and parameters that lists need."""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.catalog.model import Column, Kind

# Lists that do not become a table: path → reason.
LISTS_LEFT_OUT = {
    # Computed from a credit note that does not exist yet; the lines need the parameters that create one.
    "/v1/credit_notes/preview/lines": "a preview",
    # Every row is in payment_method, which has the filter `customer`.
    "/v1/customers/{customer}/payment_methods": "the rows of payment_method",
}

# Tables that the rules of from_sdk/names.py would name otherwise: path → name.
TABLE_NAMES = {
    # /v1/tax_ids lists those of the account itself by default, this one those of a customer: other rows.
    "/v1/customers/{customer}/tax_ids": "customer_tax_id",
    # "account_external_account" repeats a word; Stripe calls it an external account.
    "/v1/accounts/{account}/external_accounts": "external_account",
}

# Product areas by namespace of the SDK, where Stripe's own table of contents uses another name.
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
    "core": "balance balance_settings balance_transaction country_spec customer event exchange_rate file"
    " file_link webhook_endpoint",
    "payments": "apple_pay_domain bank_account card cash_balance charge confirmation_token"
    " customer_cash_balance_transaction customer_source dispute mandate payment_attempt_record"
    " payment_intent payment_intent_amount_details_line_item payment_link payment_link_line_item"
    " payment_method payment_method_configuration payment_method_domain payment_record payout refund"
    " setup_attempt setup_intent source source_mandate_notification source_transaction token topup",
    "checkout": "checkout_session_line_item",
    "products": "coupon discount price product product_feature promotion_code shipping_rate tax_code"
    " tax_rate",
    "billing": "credit_note credit_note_line_item customer_balance_transaction customer_tax_id invoice"
    " line_item invoice_payment invoice_rendering_template invoiceitem plan quote quote_line_item"
    " quote_computed_upfront_line_item subscription subscription_item subscription_schedule tax_id",
    "connect": "account application_fee capability current_account external_account fee_refund person"
    " transfer transfer_reversal",
    "radar": "review",
    "sigma": "scheduled_query_run",
}
AREAS = {name: area for area, names in _AREAS.items() for name in names.split()}

# Prefixes of ids, for examples and generated objects (from each object's example in
# https://docs.stripe.com/api).
_ID_PREFIXES = """
    account=acct_ application_fee=fee_ apps_secret=appsecret_ apple_pay_domain=apwc_
    balance_transaction=txn_ bank_account=ba_ billing_alert=alrt_ billing_credit_balance_transaction=cbtxn_
    billing_credit_grant=credgr_ billing_meter=mtr_ billing_meter_event_summary=mtrusg_
    billing_portal_configuration=bpc_ card=card_ charge=ch_ checkout_session=cs_
    checkout_session_line_item=li_ climate_order=climorder_ climate_product=climsku_
    climate_supplier=climsup_ confirmation_token=ctoken_ credit_note=cn_ credit_note_line_item=cnli_
    current_account=acct_ customer=cus_ customer_balance_transaction=cbtxn_
    customer_cash_balance_transaction=ccsbtxn_ customer_source=src_ customer_tax_id=txi_ discount=di_
    dispute=du_ entitlements_active_entitlement=ent_ entitlements_feature=feat_ event=evt_
    external_account=ba_ fee_refund=fr_ file=file_ file_link=link_ financial_connections_account=fca_
    financial_connections_account_owner=fcaown_ financial_connections_session=fcsess_
    financial_connections_transaction=fctxn_ forwarding_request=fwdreq_ identity_verification_report=vr_
    identity_verification_session=vs_ invoice=in_ line_item=il_ invoice_payment=inpay_
    invoice_rendering_template=inrtem_ invoiceitem=ii_ issuing_authorization=iauth_ issuing_card=ic_
    issuing_cardholder=ich_ issuing_dispute=idp_ issuing_personalization_design=ipd_
    issuing_physical_bundle=ics_ issuing_settlement=ise_ issuing_token=intok_ issuing_transaction=ipi_
    mandate=mandate_ payment_attempt_record=par_ payment_intent=pi_
    payment_intent_amount_details_line_item=uli_ payment_link=plink_ payment_link_line_item=li_
    payment_method=pm_ payment_method_configuration=pmc_ payment_method_domain=pmd_ payment_record=pr_
    payout=po_ person=person_ plan=plan_ price=price_ product=prod_ product_feature=prodft_
    promotion_code=promo_ quote=qt_ quote_computed_upfront_line_item=li_ quote_line_item=li_
    radar_early_fraud_warning=issfr_ radar_value_list=rsl_ radar_value_list_item=rsli_ refund=re_
    reporting_report_run=frr_ review=prv_ scheduled_query_run=sqr_ setup_attempt=setatt_ setup_intent=seti_
    shipping_rate=shr_ source=src_ source_mandate_notification=srcmn_ source_transaction=srctxn_
    subscription=sub_ subscription_item=si_ subscription_schedule=sub_sched_ tax_association=taxa_
    tax_calculation=taxcalc_ tax_calculation_line_item=tax_li_ tax_code=txcd_ tax_id=txi_
    tax_location=taxloc_ tax_rate=txr_ tax_registration=taxreg_ tax_transaction=tax_
    tax_transaction_line_item=tax_li_ terminal_configuration=tmc_ terminal_location=tml_
    terminal_reader=tmr_ test_helpers_test_clock=clock_ three_d_secure_authentication=tdsa_ token=tok_
    topup=tu_ transfer=tr_ transfer_reversal=trr_ treasury_credit_reversal=credrev_
    treasury_debit_reversal=debrev_ treasury_financial_account=fa_ treasury_inbound_transfer=ibt_
    treasury_outbound_payment=obp_ treasury_outbound_transfer=obt_ treasury_received_credit=rc_
    treasury_received_debit=rd_ treasury_transaction=trxn_ treasury_transaction_entry=trxne_
    webhook_endpoint=we_
    v2_core_account=acct_ v2_core_account_person=person_ v2_core_event=evt_ v2_core_event_destination=ed_
    v2_core_vault_gb_bank_account=gbba_ v2_core_vault_us_bank_account=usba_
    v2_money_management_adjustment=adj_ v2_money_management_financial_account=fa_
    v2_money_management_financial_address=finaddr_ v2_money_management_inbound_transfer=ibt_
    v2_money_management_outbound_payment=obp_ v2_money_management_received_credit=rc_
    v2_money_management_transaction=trxn_ v2_money_management_transaction_entry=trxne_
"""
ID_PREFIXES = dict(entry.split("=") for entry in _ID_PREFIXES.split())


@dataclass(frozen=True)
class ListDefaults:
    """Parameters that make a list show every row, and further lists for rows that it still hides."""

    parameters: tuple[tuple[str, str], ...] = ()
    further_lists: tuple[tuple[tuple[str, str], ...], ...] = ()


LIST_DEFAULTS = {
    # "If no value is supplied, all subscriptions that have not been canceled are returned."
    "subscription": ListDefaults((("status", "all"),)),
    # The filter accepts `all` beside the states; the documentation does not say what is listed without it.
    "tax_registration": ListDefaults((("status", "all"),)),
    # "Returns a list of your active prices … For the list of inactive prices, set active to false." There is
    # no value for both, so both lists are read. (The documentation of plans and products says no such thing.)
    "price": ListDefaults((("active", "true"),), ((("active", "false"),),)),
    # "Unfiltered, the list returns all payment method types except `custom`."
    "payment_method": ListDefaults((), ((("type", "custom"),),)),
    # Without a scope there is no list; secrets of single users need their user.
    "apps_secret": ListDefaults((("scope[type]", "account"),)),
    # Required, and this is the only value that needs no ids.
    "billing_credit_balance_summary": ListDefaults(
        (("filter[type]", "applicability_scope"), ("filter[applicability_scope][price_type]", "metered"))
    ),
    # Required, and this is the only value.
    "tax_location": ListDefaults((("type", "performance"),)),
    # "If omitted, returns only Accounts that are not closed."
    "v2_core_account": ListDefaults((), ((("closed", "true"),),)),
    # "If omitted, closed FinancialAccounts are not returned."
    "v2_money_management_financial_account": ListDefaults(
        (("statuses[0]", "open"), ("statuses[1]", "pending"), ("statuses[2]", "closed"))
    ),
}

# Lists whose rows have `created` but are not ordered newest first, as https://docs.stripe.com/api/pagination
# says that lists are.
OTHER_ORDER = {
    "subscription_item",  # in the order of the subscription's items
    "climate_product",  # a catalogue, in Stripe's order
    "external_account",  # the default one first
    "customer_source",  # the default one first
}

# Notes for readers of a table, mostly on lists that cannot show every row.
NOTES: dict[str, tuple[str, ...]] = {
    "account": ("The connected accounts; not the account that owns the key: see current_account.",),
    "bank_account": (
        "Bank accounts of a customer, which are in customer_source too, or of an account's payouts, which are"
        " in external_account too: these two tables write them.",
    ),
    "card": (
        "Cards of a customer, which are in customer_source too, or of an account's payouts, which are in"
        " external_account too: these two tables write them.",
    ),
    "cash_balance": ("`cash_balance` of the table customer has the same, for 100 customers a request.",),
    "current_account": ("The account that owns the key, or the one of the server option `stripe_account`.",),
    "discount": (
        "The discount of a customer, and those of its subscriptions; with subscription those of this one.",
    ),
    "billing_credit_balance_summary": (
        "The credit for all metered prices; grants for single prices are not in it.",
    ),
    "entitlements_active_entitlement_summary": (
        "Stripe sends it in events; read from the list of entitlements, it is the same object.",
    ),
    "apps_secret": ("The account's secrets; those of one user with scope_user.",),
    "balance_transaction": ("The filter `source` is not pushed: it is about related objects, too.",),
    "charge": (
        "`balance_transaction` is null until a payment has settled, a moment after it was confirmed.",
    ),
    "customer": ("Customers on a test clock are listed only with test_clock.",),
    "quote": ("Quotes on a test clock are listed only with test_clock or customer.",),
    "subscription": ("Subscriptions on a test clock are listed only with test_clock or customer.",),
    "subscription_schedule": ("Schedules of customers on a test clock are listed only with customer.",),
    "price": (
        "Inline prices, created for one subscription or invoice, are not listed; they are found by id.",
    ),
    "dispute": (
        "Stripe submits `evidence` at once, which is final; with `submit` false in `_params` it is kept.",
    ),
    "event": ("Stripe keeps events for 30 days.",),
    "review": ("Only open reviews are listed; closed ones are found by id.",),
    "tax_id": ("The account's own tax ids; a customer's with owner_customer, or in customer_tax_id.",),
    "reporting_report_type": ("Not paged: one request lists all.",),
    "capability": ("Not paged: one request lists all.",),
    "payment_method": (
        "Listed for one customer after the other; those that are attached to none are found by id.",
    ),
    "billing_meter_event_summary": ("Computed for the customer and the time window of the query.",),
    "v2_core_account": (
        "A list shows none of the columns that have to be included: they are NULL except by id.",
        "Listed with applied_configuration, which a query gives: applied_configurations has them all.",
    ),
    "v2_core_event": ("Stripe keeps events for 30 days.",),
}


@dataclass(frozen=True)
class PreviewTable:
    """A table whose rows an operation computes."""

    name: str
    operation: str
    base: str
    filters: tuple[str, ...]
    one_of: tuple[str, ...]
    columns: tuple[Column, ...]
    id_prefix: str
    notes: tuple[str, ...]


# The invoice that Stripe would create next: an operation since 2025-03-31.basil, not an object of its own.
UPCOMING_INVOICE = PreviewTable(
    name="upcoming_invoice",
    operation="create_preview",
    base="invoice",
    filters=("customer", "customer_account", "subscription", "schedule"),
    one_of=("customer", "customer_account", "subscription", "schedule"),
    columns=(Column("schedule", Kind.REFERENCE, (), references=("subscription_schedule",)),),
    id_prefix="upcoming_in_",
    notes=("Computed by Stripe on each query; needs customer, customer_account, subscription or schedule.",),
)
