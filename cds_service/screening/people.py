# SPDX-License-Identifier: Apache-2.0
"""The sex and the age band that a patient is counted under."""

from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from cds_service.intake.times import span_of

UNKNOWN: Final = "unknown"
AGE_BANDS: Final = ((0, "0-17"), (18, "18-39"), (40, "40-64"), (65, "65-79"), (80, "80+"))
"""The bands of the tables: the first year of age of each, and its name."""

SEXES: Final = ("female", "male", "other", UNKNOWN)  # the codes of FHIR
_OLDEST: Final = 150


Cell: TypeAlias = tuple[str, str]
"""A row of a table: what it is by (`sex`, `age` or `ward`), and which."""


class SexAndAge(NamedTuple):
    """What a patient is counted under."""

    sex: str = UNKNOWN
    band: str = UNKNOWN


@lru_cache(maxsize=65536)
def person_of(gender: str | None, birth: str | None, day: date) -> SexAndAge:
    """The sex as it was sent and the band of the age on this day; `unknown` if it is not clear.

    >>> person_of("male", "1970-01-01", date(2026, 11, 20)), person_of(None, "1986", date.max)
    (SexAndAge(sex='male', band='40-64'), SexAndAge(sex='unknown', band='unknown'))
    """
    return SexAndAge(gender if gender in SEXES else UNKNOWN, _band(birth, day))


def cells_of(person: SexAndAge) -> tuple[Cell, Cell]:
    """The rows that a person is counted in."""
    return ("sex", person.sex), ("age", person.band)


def _band(birth: str | None, day: date) -> str:
    try:
        first, last, _ = span_of((birth or "").strip())
    except ValueError:
        return UNKNOWN
    bands = {_band_of(_age(born, day)) for born in (first, last)}
    return bands.pop() if len(bands) == 1 else UNKNOWN


def _age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _band_of(age: int) -> str:
    if not 0 <= age <= _OLDEST:
        return UNKNOWN
    return [name for least, name in AGE_BANDS if age >= least][-1]
