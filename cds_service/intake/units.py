# SPDX-License-Identifier: Apache-2.0
"""The text and the code of a unit -> the unit of the marker that they name, and its factor.

The tables of the pack come first, then the pieces of units that laboratories write. Nothing is
guessed from the size of a number, and amount never becomes mass except by the marker's own factor.
"""

from fractions import Fraction
from typing import NamedTuple, TypeAlias

from cds_service.intake.not_usable import NotUsable
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.knowledge.model.units import Size

_ONE = Fraction(1)


class Unit(NamedTuple):
    """A unit of a marker, and what a number in it is multiplied by."""

    name: str
    factor: Fraction


# A unit of the marker, else the unit of another thing: by UCUM, or by another marker's spelling.
_Meaning: TypeAlias = Unit | Size | str


def unit_of(marker: Marker, text: str | None, code: str | None, pack: Pack) -> Unit:
    """The unit that the text and the code of a Quantity name; raises `NotUsable`.

    Each that was sent must name the same unit. One that nobody can read is never decoration.
    """
    first, second = _bare(text), _bare(code)
    if not (first or second):
        if marker.unit_may_be_missing:
            return Unit(marker.unit, _ONE)
        raise NotUsable("unit-missing")
    if first and second and first != second:
        meaning = _of_both(marker, text or "", code or "", pack)
    else:
        meaning = _meaning(marker, (text if first else code) or "", pack)
    if isinstance(meaning, Unit):
        return meaning
    raise NotUsable("unit-unknown")


def is_unit(text: str, pack: Pack) -> bool:
    """Whether the text is a unit of anything."""
    return _bare(text) in pack.units or pack.unit_pieces.size_of(text) is not None


def _of_both(marker: Marker, text: str, code: str, pack: Pack) -> _Meaning | None:
    """What text and code both mean; raises `NotUsable` if they mean different units."""
    by_text, by_code = _meaning(marker, text, pack), _meaning(marker, code, pack)
    if by_text is None or by_code is None:
        return None
    if isinstance(by_text, Unit) and isinstance(by_code, Unit):
        same = by_text.factor == by_code.factor  # `ug/mL` beside `mg/L`: two names, one size
    else:
        same = by_text == by_code
    if not same:
        raise NotUsable("unit-conflict")
    return by_text


def _meaning(marker: Marker, spelling: str, pack: Pack) -> _Meaning | None:
    bare = _bare(spelling)
    own = marker.units.get(bare)
    if own is not None:
        return Unit(own, marker.factors[bare])
    size = pack.unit_pieces.size_of(spelling)
    if size is None:
        others = pack.units.get(bare)
        return others and (pack.unit_pieces.size_of(others) or others)
    factor = marker.dimensions.get(size.dimension)
    return size if factor is None else _by_size(marker, size, factor, bare)


def _by_size(marker: Marker, size: Size, factor: Fraction, bare: str) -> Unit:
    """The unit of the marker of this size, or the unit as it was written if it has none."""
    whole = size.amount * factor
    same = (name for name in marker.units.values() if marker.factors[name] == whole)
    return Unit(next(same, bare), whole)


def _bare(text: str | None) -> str:
    return "".join(text.split()) if text else ""
