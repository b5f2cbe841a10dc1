# SPDX-License-Identifier: Apache-2.0
"""When charts are opened: once on each day of an encounter, as the end of the day knew the patient.

The encounters of a population -> the table `opening` of patients and days, each with its ward.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import DecodeError, Struct
from msgspec import field as member
from msgspec.json import Decoder, Encoder

from cds_service.intake.as_of import end_of
from cds_service.intake.times import Times
from cds_service.screening.engine import Engine
from cds_service.screening.people import UNKNOWN

NOT_HELD: Final = frozenset(("planned", "cancelled", "entered-in-error"))
"""What an encounter says that did not take place."""

_GOING_ON: Final = frozenset(("arrived", "triaged", "in-progress", "onleave"))
_A_TIME: Final = 5000
_STAYING: Final = "patient VARCHAR, encounter BIGINT, day BIGINT, began DOUBLE, ward VARCHAR"


class _Period(Struct):
    start: str | None = None
    end: str | None = None


class _Pointer(Struct):
    reference: str | None = None
    display: str | None = None


class _Place(Struct):
    location: _Pointer | None = None
    period: _Period | None = None


class _Encounter(Struct, rename="camel"):
    status: str = ""
    period: _Period | None = None
    location: list[_Place] = member(default_factory=list)
    service_provider: _Pointer | None = None


class _Row(Struct):
    patient: str
    encounter: int
    day: int
    began: float
    ward: str


class Opening(NamedTuple):
    """A day, by its number, on which a chart is opened, and the ward where."""

    day: int
    ward: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpan:
    """The days that encounters are counted of; the last may end with `until`, within it."""

    first: date
    until: datetime
    zone: tzinfo

    @property
    def last(self) -> date:
        """The last day."""
        return self.until.astimezone(self.zone).date()

    @property
    def days(self) -> int:
        """How many days these are."""
        return (self.last - self.first).days + 1

    def moment_of(self, day: int) -> datetime:
        """The end of a day, by its number, or of the period."""
        return min(end_of(date.fromordinal(day).isoformat(), self.zone), self.until)


def period_of(days: int, until: datetime, zone: tzinfo) -> DaySpan:
    """So many days up to a moment."""
    last = until.astimezone(zone).date()
    return DaySpan(first=last - timedelta(days=days - 1), until=until, zone=zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """What the table `opening` was made of; `by_ward` counts encounters."""

    encounters: int = 0
    openings: int = 0
    unread: int = 0  # encounters without a readable period
    of_nobody: int = 0  # encounters that name no patient, or one who has nothing else
    by_ward: Mapping[str, int] = field(default_factory=dict)


_ENCOUNTER: Decoder[_Encounter] = Decoder(_Encounter)
_ENCODER = Encoder()


def read_openings(engine: Engine, period: DaySpan, folder: Path) -> Openings:
    """Make the table `opening` from the encounters in the table `described`."""
    unread = 0
    number = 0
    file = folder / "openings.ndjson"
    with file.open("wb") as out:
        asked = "SELECT patient, text FROM described SEMI JOIN patient USING (patient)"
        for batch in engine.batches(f"{asked} WHERE kind = 'Encounter' ORDER BY ALL", _A_TIME):
            for patient, text in batch:
                number += 1
                rows = _rows(patient, number, text, period)
                if rows is None:
                    unread += 1
                    continue
                out.writelines(_ENCODER.encode(row) + b"\n" for row in rows)
    engine.run(f"CREATE OR REPLACE TABLE staying ({_STAYING})")
    if file.stat().st_size:
        columns = ", ".join("{}: '{}'".format(*column.split()) for column in _STAYING.split(", "))
        engine.run(
            "INSERT INTO staying SELECT * FROM read_json(?, format = 'newline_delimited', "
            f"columns = {{{columns}}})",
            [str(file)],
        )
    file.unlink()
    engine.run(
        "CREATE OR REPLACE TABLE opening AS SELECT patient, day, ward FROM staying QUALIFY "
        "row_number() OVER (PARTITION BY patient, day ORDER BY began DESC, encounter DESC) = 1"
    )
    nobody = "SELECT count(*) FROM described ANTI JOIN patient USING (patient)"
    wards = "SELECT ward, count(DISTINCT encounter) FROM staying GROUP BY ward ORDER BY ward"
    return Openings(
        encounters=engine.value("SELECT count(DISTINCT encounter) FROM staying"),
        openings=engine.value("SELECT count(*) FROM opening"),
        unread=unread,
        of_nobody=engine.value(f"{nobody} WHERE kind = 'Encounter'"),
        by_ward=dict(engine.rows(wards)),
    )


def no_openings(engine: Engine) -> None:
    """Make the table `opening` where none is known."""
    engine.run("CREATE OR REPLACE TABLE opening (patient VARCHAR, day BIGINT, ward VARCHAR)")


def _rows(patient: str, number: int, text: str, period: DaySpan) -> list[_Row] | None:
    """A row for each day of the period that the encounter covers; `None` if it has no days."""
    try:
        encounter = _ENCOUNTER.decode(text)
    except (DecodeError, RecursionError):
        return None
    times = Times(period.until, period.zone)
    began = _first(encounter.period, times)
    if began is None:
        return None
    first = began.astimezone(period.zone).date()
    last = _last_day(encounter, first, times)
    moved = [(_first(stay.period, times), _named(stay.location)) for stay in encounter.location]
    days = range(max(first, period.first).toordinal(), min(last, period.last).toordinal() + 1)
    return [
        _Row(
            patient=patient,
            encounter=number,
            day=day,
            began=began.timestamp(),
            ward=_ward(moved, day, period.zone) or _named(encounter.service_provider) or UNKNOWN,
        )
        for day in days
    ]


def _first(period: _Period | None, times: Times) -> datetime | None:
    moment = times.moment(period.start) if period and period.start else None
    return moment.begins if moment else None


def _last_day(encounter: _Encounter, first: date, times: Times) -> date:
    """The day on which it ended; of one that goes on, the last of the period."""
    ends = encounter.period.end if encounter.period else None
    moment = times.moment(ends) if ends else None
    if moment is not None:
        return max(first, moment.time.astimezone(times.zone).date())
    return times.now.astimezone(times.zone).date() if encounter.status in _GOING_ON else first


def _ward(moved: list[tuple[datetime | None, str | None]], day: int, zone: tzinfo) -> str | None:
    """The last location that the patient had come to by this day."""
    there = [
        name
        for began, name in moved
        if name and (began is None or began.astimezone(zone).date().toordinal() <= day)
    ]
    return there[-1] if there else None


def _named(pointer: _Pointer | None) -> str | None:
    return (pointer.display or pointer.reference) if pointer else None
