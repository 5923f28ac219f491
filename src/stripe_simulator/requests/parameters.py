"""What was sent for a parameter, checked and given its type, nested ones too."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Kind, Parameter
from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.requests import currencies, test_cards

if TYPE_CHECKING:
    from stripe_simulator.world.account import Account

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_LATEST = 9_999_999_999  # of a time in seconds; beyond lie those in milliseconds
# Leaves of objects about which nothing is known that are numbers; all others that look like one stay text.
_NUMBERS = re.compile(
    r"(amounts?|quantity|interval_count|trial_period_days|days_until_due|up_to|iterations|_at|start|end"
    r"|start_date|end_date|percent_off|exp_month|exp_year|day_of_month|hour|minute|second|month)$"
)
_NOT_NEGATIVE = frozenset({"unit_amount", "quantity", "trial_period_days", "days_until_due"})
_FLAGS = frozenset({"off_session"})  # true and false beside its words
_METADATA_KEYS, _METADATA_KEY, _METADATA_VALUE = 50, 40, 500
# Parameters that name an object, by the last step of their name: the resource.
_REFERENCES: Mapping[str, str] = {
    **{
        name: name
        for name in (
            "charge", "coupon", "customer", "file", "invoice", "payment_intent", "payment_method", "plan",
            "price", "product", "promotion_code", "quote", "setup_intent", "shipping_rate", "subscription",
            "subscription_item",
        )
    },
    "default_payment_method": "payment_method", "default_price": "price", "tax_rate": "tax_rate",
    "tax_rates": "tax_rate", "default_tax_rates": "tax_rate", "test_clock": "test_helpers_test_clock",
    "from_subscription": "subscription", "meter": "billing_meter", "cardholder": "issuing_cardholder",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParameterParser:
    """Gives parameters their types; `world` has the objects that they may name.

    `updating`: what is empty clears a text or a list of the object, though Stripe's types do not say so.
    """

    account: Account
    updating: bool = False

    def value(self, parameter: Parameter, path: str, sent: Any) -> Any:
        """The value of a parameter whose whole name is `path`; None where it is unset.

        Raises StripeError in Stripe's words.
        """
        if parameter.name == "metadata":
            return None if sent == "" else metadata(path, sent)
        if sent == "":
            if parameter.unsettable or (self.updating and _clears(parameter)):
                return None
            raise errors.empty_parameter(path)
        if parameter.is_list:
            return self._list(parameter, path, sent)
        if isinstance(sent, dict):
            return self._object(parameter, path, sent)
        if isinstance(sent, list):
            raise StripeError(
                "Invalid object" if parameter.kind is Kind.JSON else _not_text(sent), param=path
            )
        return self._single(parameter, path, sent)

    def _list(self, parameter: Parameter, path: str, sent: Any) -> list[Any]:
        if not isinstance(sent, list):
            raise StripeError("Invalid array", param=path)
        found = []
        for at, one in enumerate(sent):
            name = f"{path}[{at}]"
            if parameter.shape:
                found.append(self._object(parameter, name, one))
                continue
            if parameter.values and one not in parameter.values:
                raise errors.not_one_of(name, parameter.values)
            if isinstance(one, str):
                self._refer(parameter.name, name, one)
            found.append(_leaves(one, parameter.name))
        return found

    def _object(self, parameter: Parameter, path: str, sent: Any) -> Any:
        if parameter.kind is not Kind.JSON and not parameter.shape:
            raise StripeError(_not_text(sent), param=path)
        if not isinstance(sent, dict):
            raise StripeError("Invalid object", param=path)
        fields = {one.name: one for one in parameter.fields}
        return self.fields(fields, path, sent) if fields else _leaves(sent, parameter.name)

    def fields(self, known: Mapping[str, Parameter], path: str, sent: dict[str, Any]) -> dict[str, Any]:
        """What an object was given for its parameters; at the top `path` is empty."""

        def whole(name: str) -> str:
            return f"{path}[{name}]" if path else name

        unknown = [whole(name) for name in sent if name not in known]
        if unknown:
            raise errors.unknown_parameters(unknown)
        for name, one in known.items():
            if one.required and sent.get(name) in (None, ""):
                raise errors.missing_parameter(whole(name))
        return {name: self.value(known[name], whole(name), value) for name, value in sent.items()}

    def _single(self, parameter: Parameter, path: str, sent: str) -> Any:
        if parameter.values:
            if sent in parameter.values:
                return sent
            if parameter.name in _FLAGS and sent in {"true", "false"}:
                return sent == "true"
            if parameter.kind is Kind.TEXT and not parameter.shape:
                raise errors.not_one_of(path, parameter.values)
        if parameter.kind is Kind.JSON:
            if parameter.shape:
                raise StripeError("Invalid object", param=path)
            return _leaves(sent, parameter.name)
        if parameter.kind in _CONVERTERS:
            made = _CONVERTERS[parameter.kind](path, sent)
            if parameter.name in _NOT_NEGATIVE and made < 0:
                raise StripeError(
                    "Invalid non-negative integer", code="parameter_invalid_integer", param=path
                )
            return made
        if parameter.name == "currency":
            return currencies.parse_currency(sent, path)
        self._refer(parameter.name, path, sent)
        return sent

    def _refer(self, name: str, path: str, sent: str) -> None:
        """Raises the 400 of a parameter that names no object."""
        resource = _REFERENCES.get(name)
        if resource is None or not self.account.has(resource):
            return
        if resource == "payment_method" and test_cards.is_foreign_method(sent):
            return
        collection = self.account.collection(resource)
        position = collection.position(sent)
        if position is None or collection.is_deleted(position):
            raise errors.no_object(collection.resource.object, sent, path, status=400)


def metadata(path: str, sent: Any) -> dict[str, str]:
    """Keys and texts, within Stripe's limits (https://docs.stripe.com/api/metadata)."""
    if isinstance(sent, list):
        sent = {str(at): one for at, one in enumerate(sent)}
    if not isinstance(sent, dict):
        raise StripeError("Invalid object", param=path)
    for name, text in sent.items():
        if not isinstance(text, str):
            raise StripeError("Metadata values must be strings", param=f"{path}[{name}]")
        for what, most, value in (("keys", _METADATA_KEY, name), ("values", _METADATA_VALUE, text)):
            if len(value) > most:
                raise StripeError(
                    f"Metadata {what} can have up to {most} characters, but you passed in a {what[:-1]} "
                    f"that is {len(value)} characters. Invalid {what[:-1]}: {value}",
                    param=path if what == "keys" else f"{path}[{name}]",
                )
    return dict(sent)


def merge_metadata(before: dict[str, str], value: dict[str, str] | None) -> dict[str, str]:
    """New keys join the old; an empty value removes a key; nothing at all removes all."""
    if value is None:
        return {}
    merged = {name: text for name, text in {**before, **value}.items() if text != ""}
    if len(merged) > _METADATA_KEYS:
        raise StripeError(
            f"Metadata can have up to {_METADATA_KEYS} keys, but you passed in {len(merged)}.",
            param="metadata",
        )
    return merged


def _clears(parameter: Parameter) -> bool:
    if parameter.required or parameter.values or parameter.name == "currency":
        return False
    names_another = parameter.name in _REFERENCES and not parameter.name.startswith("default_")
    return parameter.is_list or (parameter.kind is Kind.TEXT and not names_another)


def _not_text(sent: Any) -> str:
    return f"Invalid string: {_inspected(sent)}"


def _inspected(sent: Any) -> str:
    """A value as Stripe's messages print it."""
    if isinstance(sent, dict):
        pairs = (f"{_inspected(name)}=>{_inspected(value)}" for name, value in sent.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(sent, list):
        return "[" + ", ".join(map(_inspected, sent)) + "]"
    return f'"{sent}"'


def _integer(name: str, value: str) -> int:
    if not _INTEGER.fullmatch(value):
        raise errors.not_an_integer(name, value)
    return int(value)


def _time(name: str, value: str) -> int:
    made = _integer(name, value)
    if not 0 <= made <= _LATEST:
        raise StripeError(f"Invalid timestamp: {value}. Must be a number of seconds since 1970.", param=name)
    return made


def _boolean(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise StripeError(f"Invalid boolean: {value}", param=name)
    return value == "true"


def _decimal(name: str, value: str) -> str:
    if not _DECIMAL.fullmatch(value):
        raise StripeError(f"Invalid decimal: {value}", param=name)
    return value


def _leaves(value: Any, name: str) -> Any:
    """Values about which nothing is known, with their types as far as their names tell."""
    if isinstance(value, dict):
        return {key: below if key == "metadata" else _leaves(below, key) for key, below in value.items()}
    if isinstance(value, list):
        return [_leaves(below, name) for below in value]
    if value in {"true", "false"}:
        return value == "true"
    if value == "":
        return None
    return int(value) if _NUMBERS.search(name) and _INTEGER.fullmatch(value) else value


_CONVERTERS: Mapping[Kind, Callable[[str, str], Any]] = {
    Kind.INTEGER: _integer,
    Kind.TIME: _time,
    Kind.BOOLEAN: _boolean,
    Kind.DECIMAL: _decimal,
    Kind.FLOAT: lambda name, value: float(_decimal(name, value)),
}
