"""Parameters as sent, validated and converted to their types, nested ones too."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Kind, Parameter
from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.requests import currencies, test_cards
from stripe_simulator.requests.unknown_parameters import reject_unknown_parameters

if TYPE_CHECKING:
    from stripe_simulator.world.account import Account

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_LATEST = 9_999_999_999  # the latest time in seconds; larger numbers are milliseconds
# Names of undeclared parameters that hold integers; digits in all others stay text.
_INTEGER_NAMES = re.compile(
    r"(amounts?|quantity|interval_count|trial_period_days|days_until_due|up_to|iterations|_at|start|end"
    r"|start_date|end_date|percent_off|exp_month|exp_year|day_of_month|hour|minute|second|month)$"
)
_NOT_NEGATIVE = frozenset(
    {"unit_amount", "quantity", "trial_period_days", "days_until_due", "amount_to_capture"}
)
_ALSO_BOOLEAN = frozenset({"off_session"})  # take true and false beside their enum values
_METADATA_KEYS, _METADATA_KEY, _METADATA_VALUE = 50, 40, 500
# Resources of the objects that parameters name, by the last step of the parameter's name.
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
    """Converts parameters to their types; `account` has the objects that they may name.

    With `updating`, an empty value clears a text or a list, although the catalog does not declare that.
    `not_found` are the parameters whose object is answered with 404 instead of 400 where it does not exist.
    """

    account: Account
    updating: bool = False
    not_found: frozenset[str] = frozenset()

    def value(self, parameter: Parameter, path: str, sent: Any) -> Any:
        """Return the value of a parameter whose full name is `path`; None where it is unset.

        Raises StripeError, with Stripe's message, for a value that the parameter does not accept.
        """
        if parameter.name == "metadata":
            return None if sent == "" else metadata(path, sent)
        if sent == "":
            if parameter.unsettable or (self.updating and _clears(parameter)):
                return None
            raise errors.empty_parameter(path)
        if parameter.name == "currency_options":
            _check_currency_keys(path, sent)
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
        values = []
        for at, element in enumerate(sent):
            name = f"{path}[{at}]"
            if parameter.shape:
                values.append(self._object(parameter, name, element))
                continue
            if parameter.values and element not in parameter.values:
                raise errors.not_one_of(name, parameter.values)
            if isinstance(element, str):
                self._check_reference(parameter.name, name, element)
            values.append(_convert_undeclared(element, parameter.name))
        return values

    def _object(self, parameter: Parameter, path: str, sent: Any) -> Any:
        if parameter.kind is not Kind.JSON and not parameter.shape:
            raise StripeError(_not_text(sent), param=path)
        if not isinstance(sent, dict):
            raise StripeError("Invalid object", param=path)
        fields = {field.name: field for field in parameter.fields}
        return self.fields(fields, path, sent) if fields else _convert_undeclared(sent, parameter.name)

    def fields(self, declared: Mapping[str, Parameter], path: str, sent: dict[str, Any]) -> dict[str, Any]:
        """Return the values of an object's parameters; at the top `path` is empty.

        Raises StripeError for parameters that are not declared, missing or not accepted.
        """

        def full_name(name: str) -> str:
            return f"{path}[{name}]" if path else name

        reject_unknown_parameters(sent, declared, inside=path)
        for name, parameter in declared.items():
            if parameter.required and sent.get(name) in (None, ""):
                raise errors.missing_parameter(full_name(name))
        return {name: self.value(declared[name], full_name(name), value) for name, value in sent.items()}

    def _single(self, parameter: Parameter, path: str, sent: str) -> Any:
        if parameter.values:
            if sent in parameter.values:
                return sent
            if parameter.name in _ALSO_BOOLEAN and sent in {"true", "false"}:
                return sent == "true"
            if parameter.kind is Kind.TEXT and not parameter.shape:
                raise errors.not_one_of(path, parameter.values)
        if parameter.kind is Kind.JSON:
            if parameter.shape:
                raise StripeError("Invalid object", param=path)
            return _convert_undeclared(sent, parameter.name)
        if parameter.kind in _CONVERTERS:
            value = _CONVERTERS[parameter.kind](path, sent)
            if parameter.name in _NOT_NEGATIVE and value < 0:
                raise StripeError("Invalid non-negative integer", param=path)
            return value
        if parameter.name == "currency":
            return currencies.parse_currency(sent, path)
        self._check_reference(parameter.name, path, sent)
        return sent

    def _check_reference(self, name: str, path: str, sent: str) -> None:
        """Raise StripeError 400 where a parameter names an object that does not exist."""
        resource = _REFERENCES.get(name)
        if resource is None or not self.account.has(resource):
            return
        if resource == "payment_method" and test_cards.is_foreign_method(sent):
            return
        collection = self.account.collection(resource)
        position = collection.position(sent)
        if position is None or collection.is_deleted(position):
            status = 404 if path in self.not_found else 400
            raise errors.no_object(collection.resource.object, sent, path, status=status)


def metadata(path: str, sent: Any) -> dict[str, str]:
    """Return metadata as sent, checked against Stripe's limits (https://docs.stripe.com/api/metadata)."""
    if isinstance(sent, list):
        sent = {str(at): value for at, value in enumerate(sent)}
    if not isinstance(sent, dict):
        raise StripeError("Invalid object", param=path)
    for name, text in sent.items():
        if not isinstance(text, str):
            raise StripeError("Metadata values must be strings", param=f"{path}[{name}]")
        for part, limit, value in (("keys", _METADATA_KEY, name), ("values", _METADATA_VALUE, text)):
            if len(value) > limit:
                raise StripeError(
                    f"Metadata {part} can have up to {limit} characters, but you passed in a {part[:-1]} "
                    f"that is {len(value)} characters. Invalid {part[:-1]}: {value}",
                    param=path if part == "keys" else f"{path}[{name}]",
                )
    return dict(sent)


def merge_metadata(before: dict[str, str], value: dict[str, str] | None) -> dict[str, str]:
    """Return the metadata with changes: an empty value removes a key, None removes all keys."""
    if value is None:
        return {}
    merged = {name: text for name, text in {**before, **value}.items() if text != ""}
    if len(merged) > _METADATA_KEYS:
        raise StripeError(
            f"Metadata can have up to {_METADATA_KEYS} keys, but you passed in {len(merged)}.",
            param="metadata",
        )
    return merged


def _check_currency_keys(path: str, sent: Any) -> None:
    """Raise StripeError for what is no object by currency."""
    if not isinstance(sent, dict):
        raise StripeError("Invalid object", param=path)
    for name in sent:
        if name != name.lower():
            raise StripeError(
                "Currencies must be lowercase when used as keys in a map. "
                f"Use {name.lower()} instead of {name}.",
                param=path,
            )


def _clears(parameter: Parameter) -> bool:
    """Return True if an empty value of the parameter clears a field of an object that is updated."""
    if parameter.required or parameter.values or parameter.name == "currency":
        return False
    names_another = parameter.name in _REFERENCES and not parameter.name.startswith("default_")
    return parameter.is_list or (parameter.kind is Kind.TEXT and not names_another)


def _not_text(sent: Any) -> str:
    return f"Invalid string: {_inspected(sent)}"


def _inspected(sent: Any) -> str:
    """Return a value as Stripe's messages print it."""
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
    seconds = _integer(name, value)
    if not 0 <= seconds <= _LATEST:
        raise StripeError(f"Invalid timestamp: {value}. Must be a number of seconds since 1970.", param=name)
    return seconds


def _boolean(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise StripeError(f"Invalid boolean: {value}", param=name)
    return value == "true"


def _decimal(name: str, value: str) -> str:
    if not _DECIMAL.fullmatch(value):
        raise StripeError(f"Invalid decimal: {value}", param=name)
    return value


def _convert_undeclared(value: Any, name: str) -> Any:
    """Return a value of an undeclared parameter, converted by its form and its name."""
    if isinstance(value, dict):
        return {
            key: below if key == "metadata" else _convert_undeclared(below, key)
            for key, below in value.items()
        }
    if isinstance(value, list):
        return [_convert_undeclared(below, name) for below in value]
    if value in {"true", "false"}:
        return value == "true"
    if value == "":
        return None
    return int(value) if _INTEGER_NAMES.search(name) and _INTEGER.fullmatch(value) else value


_CONVERTERS: Mapping[Kind, Callable[[str, str], Any]] = {
    Kind.INTEGER: _integer,
    Kind.TIME: _time,
    Kind.BOOLEAN: _boolean,
    Kind.DECIMAL: _decimal,
    Kind.FLOAT: lambda name, value: float(_decimal(name, value)),
}
