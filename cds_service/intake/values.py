# SPDX-License-Identifier: Apache-2.0
"""`value[x]` -> an exact number with its comparator and unit texts, as sent.

Not an opinion about units: `intake.units` has those. Separators of thousands and decimal commas
are refused, for `1,400` is two different numbers on two sides of a border.
"""

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from html import unescape
from typing import Final, NamedTuple

from msgspec import Raw

from cds_service.amounts import Comparator
from cds_service.fhir.elements import NOTHING, Quantity, was_sent
from cds_service.fhir.resources import Measured
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.units import is_unit
from cds_service.knowledge.model.pack import Pack

_LONGEST = 40  # characters of a number: no analyser prints more, and Fraction stays quick
LONGEST_TEXT: Final = 80  # characters of a value in words
_FARTHEST = 30  # power of ten
_COMPARATORS: dict[str | None, Comparator | None] = {
    None: None,
    "": None,
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "≤": "<=",
    "≥": ">=",
    "=": None,
    "=<": "<=",
    "=>": ">=",
    "less than": "<",
    "at most": "<=",
    "greater than": ">",
    "more than": ">",
    "at least": ">=",
}
_COMPARATOR = "|".join(sorted(filter(None, _COMPARATORS), key=len, reverse=True))
_TEXT = re.compile(rf"({_COMPARATOR})?\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*(.*)", re.IGNORECASE)
# In a text `1.500` may be one and a half or, as much of Europe writes it, fifteen hundred.
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
# `1 400`, `1,400`, `1:40`, `5-10`, `1e3`: what follows continues the number, and is no unit.
_NO_UNIT = re.compile(r"[0-9.,:'’*^+<>=~–—-]|[eE][+-]?[0-9]")


class SentNumber(NamedTuple):
    """A number and the text to show for it: 1.10 keeps its zero, 1e2 becomes 100."""

    value: Fraction
    text: str


class ReadQuantity(NamedTuple):
    """A number as sent; `unit` and `code` are the text and the code of its unit."""

    number: SentNumber
    comparator: Comparator | None
    unit: str | None = None
    code: str | None = None


class SentValue(NamedTuple):
    """What was sent for a value, readable or not, as text to show; both may be empty."""

    number: str
    unit: str


def sent_value(measured: Measured) -> SentValue:
    """The value as it was sent: for a result that is set aside, whatever is wrong with it."""
    quantity = measured.value_quantity
    if quantity is not None:
        number = f"{(quantity.comparator or '').strip()}{_shown(quantity.value)}"
        return SentValue(number, (quantity.unit or quantity.code or "").strip())
    if measured.value_string:
        return SentValue(measured.value_string.strip()[:LONGEST_TEXT], "")
    return SentValue(_shown(measured.value_integer), "")


def _shown(raw: Raw) -> str:
    """The number, or what stands in its place if it is a plain text."""
    number = number_in(raw)
    if number is not None:
        return number.text
    text = bytes(raw)[:LONGEST_TEXT].decode(errors="ignore")
    return text.strip('"') if text[:1] in set('"-0123456789') else ""


def number_in(raw: Raw) -> SentNumber | None:
    """The number, or `None` if there is none: a string is not a number, 1e400 is not either."""
    data = bytes(raw)
    return _number_in(data) if len(data) <= _LONGEST else None


@lru_cache(maxsize=4096)  # the same results come again and again, and a number names nobody
def _number_in(data: bytes) -> SentNumber | None:
    if data.isdigit():
        return SentNumber(Fraction(int(data)), data.decode())
    if data[:1] not in b"-0123456789":
        return None
    return number_from(data.decode())


def number_from(text: str) -> SentNumber | None:
    """The number that a JSON number or plain decimal text is."""
    if len(text) > _LONGEST:
        return None
    whole, point, part = text.partition(".")
    if point and part.isdigit():
        return SentNumber(Fraction(int(whole + part), 10 ** len(part)), text)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return None
    if not exact.is_finite() or abs(exact.adjusted()) > _FARTHEST:
        return None
    return SentNumber(Fraction(exact), f"{exact:f}")


def has_value(measured: Measured) -> bool:
    """Whether a value of any kind was sent, and no reason why it is absent."""
    if was_sent(measured.data_absent_reason):
        return False
    quantity = measured.value_quantity
    return (
        (quantity is not None and was_sent(quantity.value))
        or bool((measured.value_string or "").strip())
        or was_sent(measured.value_integer)
        or any(was_sent(value) for value in _other_values(measured))
    )


def value_of(measured: Measured, pack: Pack) -> ReadQuantity:
    """The value of a result; raises `NotUsable`. The pack knows what a unit is."""
    if was_sent(measured.data_absent_reason):  # with or without a value (obs-6): not to be used
        raise NotUsable("no-value")
    quantity = measured.value_quantity
    text = (measured.value_string or "").strip()
    sent = (quantity is not None) + bool(text) + was_sent(measured.value_integer)
    others = _has_other(measured)
    if sent + others > 1:
        raise NotUsable("unparseable")
    if quantity is not None:
        return _from_quantity(quantity)
    if text:
        return _from_text(text, pack)
    if sent:
        return _from_integer(measured.value_integer)
    raise NotUsable("unparseable" if others else "no-value")


def lone_quantity(measured: Measured) -> Quantity | None:
    """The Quantity of a result, if it is all that was sent as its value."""
    is_alone = (
        measured.data_absent_reason is NOTHING
        and not measured.value_string
        and measured.value_integer is NOTHING
        and not _has_other(measured)
    )
    return measured.value_quantity if is_alone else None


def _has_other(measured: Measured) -> bool:
    """Whether a value of a kind that no result of a marker has was sent, be it empty."""
    return not (
        measured.value_codeable_concept is NOTHING
        and measured.value_boolean is NOTHING
        and measured.value_range is NOTHING
        and measured.value_ratio is NOTHING
        and measured.value_sampled_data is NOTHING
        and measured.value_time is NOTHING
        and measured.value_date_time is NOTHING
        and measured.value_period is NOTHING
    )


def _other_values(measured: Measured) -> tuple[Raw, ...]:
    return (
        measured.value_codeable_concept,
        measured.value_boolean,
        measured.value_range,
        measured.value_ratio,
        measured.value_sampled_data,
        measured.value_time,
        measured.value_date_time,
        measured.value_period,
    )


def _from_quantity(quantity: Quantity) -> ReadQuantity:
    if not was_sent(quantity.value):
        raise NotUsable("no-value")
    number = number_in(quantity.value)
    sent = quantity.comparator
    if sent is not None and sent not in _COMPARATORS:
        sent = _plain_comparator(sent)
    if number is None or sent not in _COMPARATORS:
        raise NotUsable("unparseable")
    return ReadQuantity(number, _COMPARATORS[sent], quantity.unit, quantity.code)


def _plain_comparator(text: str) -> str:
    """The comparator without blanks around it, with `&lt;` and the like as the sign they mean."""
    return " ".join(_unescaped(text).lower().split())


def _unescaped(text: str) -> str:
    """The text with the signs that `&lt;` and the like stand for; no value is longer than this.

    Raises `NotUsable`, not the `ValueError` of a sign whose number has thousands of digits.
    """
    if len(text) > LONGEST_TEXT:
        raise NotUsable("unparseable")
    return unescape(text)


def _from_integer(raw: Raw) -> ReadQuantity:
    number = number_in(raw)
    if number is None or number.value.denominator != 1:
        raise NotUsable("unparseable")
    return ReadQuantity(number, None)


def _from_text(text: str, pack: Pack) -> ReadQuantity:
    match = _TEXT.fullmatch(text := _unescaped(text))
    number = number_from(match[2].removeprefix("+")) if match else None
    if match is None or number is None or _MAYBE_THOUSANDS.fullmatch(match[2]):
        raise NotUsable("unparseable")
    unit = match[3]
    apart = text[match.end(2) :][:1].isspace()  # `180 10*9/L`; not `1e3 U/L`
    known = apart and not unit.isdigit() and is_unit(unit, pack)
    if unit and not known and _NO_UNIT.match(unit):
        raise NotUsable("unparseable")
    comparator = _COMPARATORS[None if match[1] is None else match[1].lower()]
    return ReadQuantity(number, comparator, unit or None)
