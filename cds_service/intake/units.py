# SPDX-License-Identifier: Apache-2.0
"""The spelling of a unit -> the unit it stands for, and the factor into the marker's unit.

The tables of the pack decide alone; nothing is guessed from the size of a number.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from cds_service.intake.not_usable import NotUsable
from cds_service.knowledge.model.pack import Marker

_ONE = Fraction(1)


class Unit(NamedTuple):
    """A unit of a marker, and what a number in it is multiplied by."""

    name: str
    factor: Fraction


def unit_of(marker: Marker, text: str | None, code: str | None, known: Mapping[str, str]) -> Unit:
    """The unit that the text and the code of a Quantity name; raises `NotUsable`.

    `known` holds every spelling that any marker of the pack uses. A spelling that nobody knows
    beside one that the marker knows is decoration; two that are known must agree.
    """
    spellings = [one for one in (_bare(text), _bare(code)) if one]
    if not spellings:
        if marker.unit_may_be_missing:
            return Unit(marker.unit, _ONE)
        raise NotUsable("unit-missing")
    units = {
        unit
        for spelling in spellings
        if (unit := marker.units.get(spelling) or known.get(spelling))
    }
    mine = [spelling for spelling in spellings if spelling in marker.units]
    if len(units) > 1 and not _same_size(marker, spellings, mine):
        raise NotUsable("unit-conflict")
    if not mine:
        raise NotUsable("unit-unknown")
    return Unit(marker.units[mine[0]], marker.factors[mine[0]])


def factor_of(marker: Marker, text: str | None, code: str | None) -> Fraction | None:
    """The factor of a limit's unit, or `None` if the marker does not know the unit."""
    spelling = _bare(code) or _bare(text)
    factor = marker.factors.get(spelling)
    return marker.factors.get(_bare(text)) if factor is None else factor


def _bare(text: str | None) -> str:
    if not text:
        return ""
    return "".join(text.split())


def _same_size(marker: Marker, spellings: list[str], mine: list[str]) -> bool:
    # `ug/mL` beside `mg/L`: two names, one size. Both must be units of this marker.
    return len(mine) == len(spellings) and len({marker.factors[one] for one in mine}) == 1
