"""Where the values of derived columns are written: these lie deeper in create and update, too.

Written by hand, as the columns are that they belong to. An entry that does not fit the SDK makes the build
fail.
"""

from __future__ import annotations

from stripe_fdw.catalog.model import Place

PLACES: dict[str, tuple[Place, ...]] = {
    "customer": (Place("default_payment_method", ("invoice_settings", "default_payment_method")),),
    "promotion_code": (Place("coupon", ("promotion", "coupon"), (("promotion[type]", "coupon"),)),),
    "invoiceitem": (Place("price", ("pricing", "price")),),
    "line_item": (Place("price", ("pricing", "price")),),
}
