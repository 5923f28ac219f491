"""Proportions: how many objects of each resource there are for a number of customers."""

from __future__ import annotations

# Objects for each 1,000 customers; resources that are not named have a few.
PER_THOUSAND = {
    "customer": 1000, "subscription": 800, "invoice": 2000, "charge": 2000, "payment_intent": 2000,
    "payment_method": 1000, "invoiceitem": 400, "balance_transaction": 2500, "refund": 100, "credit_note": 60,
    "checkout_session": 300, "setup_intent": 200, "event": 0, "product": 10, "price": 30, "plan": 30,
    "coupon": 10,
    "promotion_code": 20, "dispute": 20, "payout": 30, "quote": 40, "subscription_schedule": 40,
    "tax_rate": 5,
    "transfer": 50, "topup": 10, "file": 30, "file_link": 20, "webhook_endpoint": 0, "account": 5,
    "test_clock": 0,
    "test_helpers_test_clock": 0, "apps_secret": 0,
}  # fmt: skip
# Limits for resources of which even a large account has few.
_AT_MOST = {"product": 300, "price": 1000, "coupon": 200, "tax_rate": 100, "account": 2000}
_USUAL_PER_THOUSAND = 15
_AT_LEAST = {"product": 8, "price": 24, "plan": 24, "coupon": 5, "account": 3, "tax_rate": 4}
_USUAL_AT_MOST = 5000
MANUAL_INVOICE_PERIOD = 10  # every tenth invoice belongs to no subscription


def count_of(name: str, customers: int) -> int:
    """Return how many objects of a resource go with this many customers."""
    if customers == 0:
        return 0
    if name not in PER_THOUSAND:
        return min(max(3, customers * _USUAL_PER_THOUSAND // 1000), _USUAL_AT_MOST)
    share = PER_THOUSAND[name]
    if not share:
        return 0
    return min(max(_AT_LEAST.get(name, 1), customers * share // 1000), _AT_MOST.get(name, customers * 10))
