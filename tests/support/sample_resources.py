"""Small resources made by hand, with one of everything that a plan has to know."""

from __future__ import annotations

from stripe_fdw.catalog.model import Column, Filter, Kind, Operation, Parameter, Parent, Resource

CREATED = Column("created", Kind.TIME, ("created",), nullable=False)
ID = Column("id", Kind.TEXT, ("id",), nullable=False)

CUSTOMER = Resource(
    name="customer",
    object="customer",
    area="core",
    list_path="/v1/customers",
    columns=(
        ID,
        CREATED,
        Column("balance", Kind.INTEGER, ("balance",)),
        Column("delinquent", Kind.BOOLEAN, ("delinquent",)),
        Column("email", Kind.TEXT, ("email",)),
        Column("metadata", Kind.JSON, ("metadata",)),
        Column("name", Kind.TEXT, ("name",)),
    ),
    filters=(Filter("email", "email", exact=False), Filter("created", "created", range=True)),
    retrieve=Operation("retrieve", "GET", "/v1/customers/{customer}"),
    search_fields=("email", "name", "metadata", "created"),
    substring_fields=("email", "name"),
    search_path="/v1/customers/search",
    id_prefix="cus_",
)
SUBSCRIPTION = Resource(
    name="subscription",
    object="subscription",
    area="billing",
    list_path="/v1/subscriptions",
    columns=(
        ID,
        CREATED,
        Column("customer", Kind.REFERENCE, ("customer",), references=("customer",)),
        Column("price", Kind.REFERENCE, ("items", "data", "price", "id"), references=("price",)),
        Column("status", Kind.TEXT, ("status",), values=("active", "canceled", "paused")),
        Column("current_period_end", Kind.TIME, ("items", "data", "current_period_end"), aggregate="min"),
        Column("hidden", Kind.TEXT, ()),
    ),
    filters=(
        Filter("created", "created", range=True),
        Filter("customer", "customer"),
        Filter("hidden", "hidden"),
        Filter("price", "price"),
        Filter("status", "status", values=("active", "canceled")),
    ),
    defaults=(("status", "all"),),
    retrieve=Operation("retrieve", "GET", "/v1/subscriptions/{id}"),
    id_prefix="sub_",
)
ITEM = Resource(
    name="subscription_item",
    object="subscription_item",
    area="billing",
    list_path="/v1/subscription_items",
    columns=(ID, Column("subscription", Kind.REFERENCE, ("subscription",), references=("subscription",))),
    filters=(Filter("subscription", "subscription", required=True),),
    newest_first=False,
    events_of="subscription",
)
LINE = Resource(
    name="line_item",
    object="line_item",
    area="billing",
    list_path="/v1/invoices/{invoice}/lines",
    columns=(
        ID,
        Column("invoice", Kind.REFERENCE, ("invoice",)),
        Column("amount", Kind.INTEGER, ("amount",)),
    ),
    parents=(Parent("invoice", "invoice", "invoice"),),
    newest_first=False,
)
INVOICE = Resource(
    name="invoice",
    object="invoice",
    area="billing",
    list_path="/v1/invoices",
    columns=(ID, CREATED, Column("customer", Kind.REFERENCE, ("customer",), references=("customer",))),
    filters=(Filter("created", "created", range=True), Filter("customer", "customer")),
    retrieve=Operation("retrieve", "GET", "/v1/invoices/{invoice}"),
    id_prefix="in_",
)
REVERSAL = Resource(
    name="transfer_reversal",
    object="transfer_reversal",
    area="connect",
    list_path="/v1/transfers/{id}/reversals",
    columns=(ID, CREATED, Column("transfer", Kind.REFERENCE, ("transfer",), references=("transfer",))),
    parents=(Parent("id", "transfer", ""),),
    retrieve=Operation("retrieve", "GET", "/v1/transfers/{transfer}/reversals/{id}"),
)
PRICE = Resource(
    name="price",
    object="price",
    area="products",
    list_path="/v1/prices",
    columns=(
        ID,
        CREATED,
        Column("active", Kind.BOOLEAN, ("active",)),
        Column("lookup_key", Kind.TEXT, ("lookup_key",)),
        Column("product", Kind.REFERENCE, ("product",), references=("product",)),
        Column("type", Kind.TEXT, ("type",), values=("one_time", "recurring")),
    ),
    filters=(
        Filter("active", "active"),
        Filter("created", "created", range=True),
        Filter("lookup_keys", "lookup_key", equal=False, any_of=True, max_values=2),
        Filter("product", "product"),
        Filter("type", "type"),
    ),
    defaults=(("active", "true"),),
    further_lists=((("active", "false"),),),
    id_prefix="price_",
)
COUPON = Resource(
    name="coupon",
    object="coupon",
    area="products",
    list_path="/v1/coupons",
    columns=(ID, CREATED),
    retrieve=Operation("retrieve", "GET", "/v1/coupons/{coupon}"),
    create=Operation("create", "POST", "/v1/coupons", (Parameter("id", Kind.TEXT),)),
)
PRODUCT = Resource(
    name="product",
    object="product",
    area="products",
    list_path="/v1/products",
    columns=(ID, CREATED),
    retrieve=Operation("retrieve", "GET", "/v1/products/{id}"),
    create=Operation("create", "POST", "/v1/products", (Parameter("id", Kind.TEXT),)),
    id_prefix="prod_",
)
FEATURE = Resource(
    name="product_feature",
    object="product_feature",
    area="products",
    list_path="/v1/products/{product}/features",
    columns=(ID, Column("product", Kind.REFERENCE, (), references=("product",))),
    parents=(Parent("product", "product", "product"),),
    newest_first=False,
)
UPCOMING = Resource(
    name="upcoming_invoice",
    object="invoice",
    area="billing",
    list_path="/v1/invoices/create_preview",
    columns=(ID, Column("customer", Kind.REFERENCE, ("customer",), references=("customer",))),
    filters=(Filter("customer", "customer"),),
    one_of=("customer",),
    paged=False,
    newest_first=False,
    preview=True,
)
TAX_ID = Resource(
    name="tax_id",
    object="tax_id",
    area="billing",
    list_path="/v1/tax_ids",
    columns=(ID, CREATED, Column("owner_customer", Kind.REFERENCE, ("owner", "customer"))),
    filters=(Filter("owner[customer]", "owner_customer", extra_parameters=(("owner[type]", "customer"),)),),
)

ALL = {
    resource.name: resource
    for resource in (
        CUSTOMER, SUBSCRIPTION, ITEM, LINE, INVOICE, REVERSAL, PRICE, COUPON, PRODUCT, FEATURE, UPCOMING,
        TAX_ID,
    )
}  # fmt: skip
