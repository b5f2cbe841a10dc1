# SPDX-License-Identifier: Apache-2.0
"""What codes, units, numbers and ranges mean to a pack, remembered by the bytes that were sent.

Laboratories send the same ones again and again. One reader serves all calls of a pack; it keeps a
bounded number of answers, none of a long text, and nothing that FHIR has for patients: no note, no
time of a result, no reference. Free text inside of these elements is held as it came.
"""

from typing import NamedTuple, TypeAlias

from msgspec import Raw

from cds_service.amounts import Interval, compare, exactly, interval_of
from cds_service.fhir.deferred import ranges_in
from cds_service.fhir.elements import NOTHING
from cds_service.fhir.resources import Measured
from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.ranges import RangesRead, limits_of
from cds_service.intake.units import Unit, unit_of
from cds_service.intake.values import ReadQuantity, lone_quantity, value_of
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.labs.patient_record import Sent
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.remembering import BoundedMemory

_LONGEST_QUANTITY = 80  # signs of a number with its comparator and unit
_LONGEST_RANGES = 1024  # bytes of the ranges of one result
_NO_RANGES = RangesRead((), not_read=False)

_AmountKey: TypeAlias = tuple[str, bytes, str | None, str | None, str | None]
_UnitKey: TypeAlias = tuple[str, str | None, str | None]
_RangesKey: TypeAlias = tuple[str, bytes, str, int, int]


class Amount(NamedTuple):
    """A value in the unit of its marker, the unit that was sent, and the value as it was sent."""

    value: Interval
    unit: Unit
    sent: Sent


class PackReader:
    """Reads results in the terms of one pack."""

    def __init__(self, pack: Pack, *, names_fallback: bool) -> None:
        self.pack = pack
        self.lookup = MarkerLookup(pack, names_fallback=names_fallback)
        self._amounts: BoundedMemory[_AmountKey, Amount | SetAsideReason] = BoundedMemory()
        self._units: BoundedMemory[_UnitKey, Unit] = BoundedMemory()
        self._ranges: BoundedMemory[_RangesKey, RangesRead] = BoundedMemory()

    def amount(self, marker: str, measured: Measured) -> Amount:
        """The value of a result as an amount of the marker; raises `NotUsable`."""
        quantity = lone_quantity(measured)
        if quantity is None:
            return self._read_amount(marker, measured)
        data, sent = bytes(quantity.value), quantity.comparator
        key = (marker, data, sent, quantity.unit, quantity.code)
        found = self._amounts.get(key)
        if found is None:
            try:
                found = self._read_amount(marker, measured)
            except NotUsable as fault:
                found = fault.reason
            texts = (data, sent or "", quantity.unit or "", quantity.code or "")
            if sum(map(len, texts)) <= _LONGEST_QUANTITY:
                self._amounts.keep(key, found)
        if isinstance(found, str):
            raise NotUsable(found)
        return found

    def ranges(self, marker: str, raw: Raw, unit: Unit) -> RangesRead:
        """The ranges of a result in this unit, which is that of ends without one."""
        if raw is NOTHING:
            return _NO_RANGES
        data = bytes(raw)
        key = (marker, data, unit.name, unit.factor.numerator, unit.factor.denominator)
        found = self._ranges.get(key)
        if found is None:
            ranges = ranges_in(raw)
            found = limits_of(ranges, self.pack.markers[marker], unit.factor, self.pack)
            if len(data) <= _LONGEST_RANGES:
                self._ranges.keep(key, found)
        return found

    def _read_amount(self, marker_id: str, measured: Measured) -> Amount:
        marker, value = self.pack.markers[marker_id], value_of(measured, self.pack)
        unit = self._unit(marker, value.unit, value.code)
        amount = interval_of(value.number.value, value.comparator)
        if unit.factor != 1:  # most are: multiplying fractions costs a gcd
            amount = amount.times(unit.factor)
        if not _is_plausible(amount, marker):
            raise NotUsable("implausible")
        return Amount(amount, unit, _sent(value))

    def _unit(self, marker: Marker, text: str | None, code: str | None) -> Unit:
        """The unit of a number; units come again where numbers do not."""
        key = (marker.id, text, code)
        found = self._units.get(key)
        if found is None:
            found = unit_of(marker, text, code, self.pack)
            if len(text or "") + len(code or "") <= _LONGEST_QUANTITY:
                self._units.keep(key, found)
        return found


def _is_plausible(amount: Interval, marker: Marker) -> bool:
    """Whether the marker can have the value; of a one-sided value, the number that was sent."""
    if amount.low is amount.high and amount.low is not None:  # an exact value, as most are
        return marker.plausible.contains(amount)
    sent = amount.high if amount.high is not None else amount.low
    if sent is None or not marker.plausible.contains(exactly(sent)):
        return False
    return compare(amount, "below", marker.plausible) is not True  # such as <0


def _sent(value: ReadQuantity) -> Sent:
    return Sent(
        number=value.number.text,
        unit=(value.unit or value.code or "").strip(),
        comparator=value.comparator,
    )
