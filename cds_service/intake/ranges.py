# SPDX-License-Identifier: Apache-2.0
"""`Observation.referenceRange` -> the laboratory's ranges in the marker's unit.

All ranges of healthy people are kept; which of them fits the patient is for `labs` to say. A range
for a group that is not defined by sex or age (pregnancy, a population) is left out: nothing here
knows who belongs to it. So is one whose unit the marker does not know.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from math import ceil
from typing import Literal, NamedTuple

from cds_service.fhir.deferred import extensions_in
from cds_service.fhir.elements import (
    CodeableConcept,
    Extension,
    Quantity,
    ReferenceRange,
    many,
    was_sent,
)
from cds_service.intake.marker_lookup import pairs_of, texts_of
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.units import unit_of
from cds_service.intake.values import SentNumber, number_from, number_in
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.labs.patient_record import ReferenceRange as Limits
from cds_service.labs.patient_record import Sent
from cds_service.printed_ranges import in_signs

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_BETWEEN = re.compile(rf"{_NUMBER} - {_NUMBER}")
_ONE_SIDED = re.compile(rf"([<>≤≥⩽⩾=]+)\s*{_NUMBER}")
_AT_MOST = frozenset(("<", "<=", "=<", "≤", "⩽"))
_AT_LEAST = frozenset((">", ">=", "=>", "≥", "⩾"))

# SNOMED CT, HL7 v3 AdministrativeGender, FHIR administrative-gender, and plain words.
_SEXES: dict[str, Literal["male", "female"]] = {
    **dict.fromkeys(("248153007", "m", "male", "males", "man", "men"), "male"),
    **dict.fromkeys(("248152002", "f", "female", "females", "woman", "women"), "female"),
}
_DAYS_A_MONTH = Fraction(1461, 48)  # four years, one of them a leap year
_MONTHS: dict[str, Fraction] = {
    **dict.fromkeys(("a", "y", "yr", "year", "years"), Fraction(12)),
    **dict.fromkeys(("mo", "month", "months"), Fraction(1)),
    **dict.fromkeys(("wk", "week", "weeks"), 7 / _DAYS_A_MONTH),
    **dict.fromkeys(("d", "day", "days"), 1 / _DAYS_A_MONTH),
}


# The two modifiers of HL7 Europe's laboratory guide that say whether an end belongs to the range.
_MODIFIERS = {
    f"{base}observation-reference-range-{end}-comparator": end
    for base in (
        "http://hl7.org/fhir/StructureDefinition/",
        "http://hl7.eu/fhir/laboratory/StructureDefinition/",
    )
    for end in ("low", "high")
}
_EXCLUSIVE = {("low", ">"): True, ("low", ">="): False, ("high", "<"): True, ("high", "<="): False}

# HL7's name for a range of healthy people and what laboratories write for it.
_MEANINGS = "http://terminology.hl7.org/codesystem/referencerange-meaning"
_NORMAL = frozenset(
    ("normal", "normal range", "normal ranges", "normal values", "normal reference range")
    + ("reference range", "reference interval", "reference values", "ref range", "reference", "ref")
)


class _LeftOut(Exception):
    """The range is for something else."""


class _NotRead(_LeftOut):
    """The range cannot be understood."""


class RangesRead(NamedTuple):
    """The usable ranges, and whether there was one that cannot be understood."""

    usable: tuple[Limits, ...]
    not_read: bool


class _End(NamedTuple):
    """An end of a range as it was sent."""

    number: SentNumber
    unit: str | None
    code: str | None = None


def limits_of(
    ranges: Iterable[ReferenceRange], marker: Marker, factor: Fraction, pack: Pack
) -> RangesRead:
    """The usable ranges; `factor` is that of the value's unit, for limits without a unit."""
    found: list[Limits] = []
    not_read = False
    for range_ in ranges:
        try:
            found.append(_limits(range_, marker, factor, pack))
        except _NotRead:
            not_read = True
        except _LeftOut:
            continue
    return RangesRead(tuple(found), not_read)


def _limits(range_: ReferenceRange, marker: Marker, factor: Fraction, pack: Pack) -> Limits:
    if not _is_normal(range_.type):
        raise _LeftOut
    sex, (age_from, age_below) = _sex(many(range_.applies_to)), _ages(range_)
    exclusive = _exclusive(range_)
    ends = _ends_of(range_)
    low, high = (_amount(end, marker, factor, pack) for end in ends)
    if low is None and high is None:
        raise _LeftOut
    if low is not None and high is not None and low > high:
        raise _NotRead
    sent_low, sent_high = map(_as_sent, ends)
    return Limits(
        low=low,
        high=high,
        low_exclusive="low" in exclusive,
        high_exclusive="high" in exclusive,
        sex=sex,
        age_from=age_from,
        age_below=age_below,
        sent_low=sent_low,
        sent_high=sent_high,
    )


def _ends_of(range_: ReferenceRange) -> tuple[_End | None, _End | None]:
    """The low and the high end as they were sent, or as the text has them where none was."""
    for end, beyond in ((range_.low, "<"), (range_.high, ">")):
        if end is not None and (end.comparator or "").strip().startswith(beyond):
            raise _NotRead  # it says that the other side is outside
    low, high = _end_in(range_.low), _end_in(range_.high)
    if low is None and high is None:
        return _ends_in_text((range_.text or "").strip())
    return low, high


def _end_in(quantity: Quantity | None) -> _End | None:
    if quantity is None or not was_sent(quantity.value):
        return None
    number = number_in(quantity.value)
    if number is None:
        raise _NotRead
    return _End(number, quantity.unit, quantity.code)


def _ends_in_text(text: str) -> tuple[_End | None, _End | None]:
    """The ends of `7 - 40`, `up to 40` or `Normal: > 5 U/L`; none of a text without a number."""
    name, colon, behind = text.partition(":")
    if colon and " ".join(name.casefold().split()) in _NORMAL:
        text = behind
    numbers, unit = in_signs(text)
    if between := _BETWEEN.fullmatch(numbers):
        return _end_from(between[1], unit), _end_from(between[2], unit)
    one_sided = _ONE_SIDED.fullmatch(numbers)
    if one_sided and one_sided[1] in _AT_MOST:
        return None, _end_from(one_sided[2], unit)
    if one_sided and one_sided[1] in _AT_LEAST:
        return _end_from(one_sided[2], unit), None
    if any(sign.isdigit() for sign in text):
        raise _NotRead
    return None, None


def _end_from(text: str, unit: str) -> _End:
    number = number_from(text)
    if number is None:
        raise _NotRead
    return _End(number, unit)


def _as_sent(end: _End | None) -> Sent | None:
    if end is None:
        return None
    return Sent(number=end.number.text, unit=(end.unit or end.code or "").strip())


def _is_normal(kind: CodeableConcept | None) -> bool:
    if kind is None:
        return True
    pairs = pairs_of(kind)
    if any(code == "normal" for _, code in pairs):
        return True
    if any(system.rstrip("/").lower() == _MEANINGS for system, _ in pairs):
        return False
    words = {" ".join(text.casefold().split()) for text in texts_of(kind)}
    return not words.isdisjoint(_NORMAL) or not (pairs or words)


def _exclusive(range_: ReferenceRange) -> frozenset[str]:
    """The ends that do not belong to the range: by modifiers, each once and for an end sent."""
    if not was_sent(range_.modifier_extension):
        return frozenset()
    found: dict[str, bool] = {}
    for extension in extensions_in(range_.modifier_extension) or (Extension(),):
        end = _MODIFIERS.get(extension.url or "", "")
        exclusive = _EXCLUSIVE.get((end, extension.value_code or ""))
        if exclusive is None or end in found or getattr(range_, end) is None:
            raise _NotRead
        found[end] = exclusive
    return frozenset(end for end, exclusive in found.items() if exclusive)


def _amount(end: _End | None, marker: Marker, factor: Fraction, pack: Pack) -> Fraction | None:
    """The end in the unit of the marker; without a unit it has that of the value."""
    if end is None:
        return None
    if end.unit or end.code:
        factor = _factor(marker, end.unit, end.code, pack)
    return end.number.value if factor == 1 else end.number.value * factor


def _factor(marker: Marker, text: str | None, code: str | None, pack: Pack) -> Fraction:
    try:
        return unit_of(marker, text, code, pack).factor
    except NotUsable:
        raise _NotRead from None


def _sex(groups: Iterable[CodeableConcept]) -> Literal["male", "female"] | None:
    sexes: set[Literal["male", "female"]] = set()
    for group in groups:
        words = [*(code for _, code in pairs_of(group)), *texts_of(group)]
        named = {_SEXES[word.casefold()] for word in words if word.casefold() in _SEXES}
        if len(named) != 1:
            raise _LeftOut
        sexes |= named
    return sexes.pop() if len(sexes) == 1 else None


def _ages(range_: ReferenceRange) -> tuple[int | None, int | None]:
    """The ages in completed months, from and below; FHIR's upper end includes the whole unit."""
    if range_.age is None:
        return None, None
    start, end = _months(range_.age.low, end=False), _months(range_.age.high, end=True)
    age_from = None if start is None else round(start)
    age_below = None if end is None else max(ceil(end - Fraction(1, 2)), (age_from or 0) + 1)
    return age_from, age_below


def _months(sent: Quantity | None, *, end: bool) -> Fraction | None:
    if sent is None or not was_sent(sent.value):
        return None
    number = number_in(sent.value)
    unit = _MONTHS.get((sent.code or "").strip()) or _MONTHS.get((sent.unit or "").strip().lower())
    if number is None or unit is None or number.value < 0:
        raise _LeftOut
    # "to 17 years" takes in the day before the eighteenth birthday; "< 18 years" says it itself.
    whole = number.value.denominator == 1 and sent.comparator != "<"
    return (number.value + (1 if end and whole else 0)) * unit
