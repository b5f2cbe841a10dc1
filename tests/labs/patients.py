# SPDX-License-Identifier: Apache-2.0
"""Invented patients of the invented pack: results and records without FHIR."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from cds_service.amounts import Comparator, interval_of
from cds_service.copying import replace
from cds_service.decide import chooser_of, compile_pack
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.labs.patient_record import (
    LabResult,
    OpenOrder,
    Patient,
    PatientRecord,
    Recorded,
    ReferenceRange,
    ResultStatus,
    Sent,
)
from cds_service.labs.result_selection import Chooser, Frame
from tests.knowledge.fixture_pack import letters

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
YESTERDAY = timedelta(days=1)
ADULT = Patient(reference="Patient/one", born=(date(1976, 6, 15), date(1976, 6, 15)), sex="male")
CODES = "https://example.org/codes"


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def result(
    number: str = "30",
    marker: str = "alpha",
    *,
    ago: timedelta = YESTERDAY,
    comparator: Comparator | None = None,
    status: ResultStatus = "final",
    method: str | None = None,
    hemolysed: bool = False,
    limits: tuple[str | None, str | None] | None = None,
    unit: str | None = None,
) -> LabResult:
    """A result in the marker's own unit."""
    own = letters().markers[marker].unit
    return LabResult(
        marker=marker,
        code="",
        method=method,
        value=interval_of(Fraction(number), comparator),
        sent=Sent(number=number, unit=own, comparator=comparator),
        unit=own if unit is None else unit,
        time=NOW - ago,
        precision="instant",
        status=status,
        reference=f"Observation/{marker}-{number}-{status}",
        ranges=() if limits is None else (printed(*limits),),
        hemolysed=hemolysed,
    )


def printed(low: str | None, high: str | None) -> ReferenceRange:
    """A range that the laboratory printed for everyone."""
    return ReferenceRange(
        low=None if low is None else Fraction(low), high=None if high is None else Fraction(high)
    )


def record(
    *results: LabResult,
    patient: Patient = ADULT,
    medicines: tuple[Recorded, ...] | None = (),
    conditions: tuple[Recorded, ...] | None = (),
    orders: tuple[OpenOrder, ...] | None = (),
) -> PatientRecord:
    return PatientRecord(
        patient=patient,
        results=results,
        medicines=medicines,
        conditions=conditions,
        orders=orders,
    )


def named(*texts: str) -> Recorded:
    return Recorded(codes=(), texts=texts)


def coded(system: str, code: str, *texts: str) -> Recorded:
    return Recorded(codes=((system, code),), texts=texts)


def chooser(record: PatientRecord, pack: Pack | None = None) -> Chooser:
    return chooser_of(compile_pack(pack or letters()), record, NOW)


def frame(*results: LabResult, index: str = "alpha", pack: Pack | None = None) -> Frame | None:
    """The frame of final results around the index."""
    return chooser(record(*results), pack).frame(index, with_preliminary=False)


def framed(*results: LabResult, index: str = "alpha", pack: Pack | None = None) -> Frame:
    """The frame, which must be there."""
    found = frame(*results, index=index, pack=pack)
    assert found is not None
    return found


def with_marker(marker: Marker, pack: Pack | None = None) -> Pack:
    """The pack with this marker in place of the one of the same id."""
    base = pack or letters()
    return replace(base, markers={**base.markers, marker.id: marker})


ALPHA, BETA = letters().markers["alpha"], letters().markers["beta"]
