"""Currencies and amounts, with Stripe's limits (https://docs.stripe.com/currencies)."""

from __future__ import annotations

from stripe_simulator.errors import StripeError

# The smallest payment in each currency, in minor units, where Stripe documents one.
_MINIMUM_AMOUNTS = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300,
    "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "$", "aud": "$"}
ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905 - reads better
)
_MAXIMUM_AMOUNT = 99_999_999
_CURRENCIES = """
    usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd
    cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd
    hkd hnl hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl
    mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr
    pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd
    tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw usdc
"""
CURRENCIES = tuple(_CURRENCIES.split())


def format_with_code(amount: int, currency: str) -> str:
    """Return an amount of minor units with symbol and code: $0.50 usd."""
    text = f"{amount:,}" if currency in ZERO_DECIMAL else f"{amount / 100:,.2f}"
    return f"{_SYMBOLS.get(currency, '')}{text} {currency}"


def format_amount(amount: int, currency: str) -> str:
    """Return an amount of minor units with its symbol: $0.50."""
    return format_with_code(amount, currency).rpartition(" ")[0]


def too_low_error(param: str, minimum: int = 1) -> StripeError:
    """Return the error of a number below its minimum."""
    return StripeError(
        f"This value must be greater than or equal to {minimum}.",
        code="parameter_invalid_integer",
        param=param,
    )


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Raise StripeError for an amount below the minimum or above the maximum of a payment."""
    if amount == 0:
        raise StripeError(
            "The amount must be greater than or equal to the minimum charge amount of the currency.",
            code="parameter_invalid_integer",
            param=param,
        )
    if amount < 0:
        raise too_low_error(param)
    minimum = _MINIMUM_AMOUNTS.get(currency.lower(), 1)
    if amount < minimum:
        raise StripeError(
            f"Amount must be at least {format_with_code(minimum, currency.lower())}",
            code="amount_too_small",
            param=param,
        )
    if amount > _MAXIMUM_AMOUNT:
        raise StripeError(
            f"Amount must be no more than {format_with_code(_MAXIMUM_AMOUNT, currency.lower())}",
            code="amount_too_large",
            param=param,
        )


def parse_currency(value: str, param: str = "currency") -> str:
    """Return a currency code in lower case. Raises StripeError for one that Stripe does not support."""
    if value.lower() not in CURRENCIES:
        raise StripeError(
            f"Invalid currency: {value.lower()}. Stripe currently supports these currencies: "
            f"{', '.join(CURRENCIES)}",
            param=param,
        )
    return value.lower()
