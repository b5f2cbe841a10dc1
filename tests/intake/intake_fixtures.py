# SPDX-License-Identifier: Apache-2.0
"""A small pack of invented markers, and how to read resources with it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from cds_service.amounts import Interval
from cds_service.clock import NO_DEADLINE, Deadline
from cds_service.copying import replace
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.patient_input import PatientInput
from cds_service.intake.read_record import read_record
from cds_service.knowledge.model.names import MarkerName, Named, NameIndex, phrases, words_of
from cds_service.knowledge.model.pack import Marker, MarkerCode, Pack, Pairing, Scope
from cds_service.knowledge.model.units import Dimension
from cds_service.knowledge.reading.spellings import spellings_for
from cds_service.labs.patient_record import LabResult, PatientRecord, SetAside
from cds_service.prefetch_keys import Kind
from cds_service.sources.file import input_from_document, read_resources

Json: TypeAlias = dict[str, object]

LOINC = "http://loinc.org"
LOCAL = "https://lab.example/codes"
NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
DAY = "2026-06-14T08:00:00Z"

# Unit -> every spelling of it.
SPELLINGS = {
    "U/L": ("U/L",),
    "ukat/L": ("ukat/L",),
    "mg/dL": ("mg/dL",),
    "ug/mL": ("ug/mL",),
    "mg/L": ("mg/L",),
    "10*9/L": ("10*9/L", "G/L"),
    "1": ("1", "{ratio}"),
}
PIECES = spellings_for(Path("cards"), "cards")[0].units
KNOWN = {spelling: unit for unit, all_of in SPELLINGS.items() for spelling in all_of}


def marker(
    name: str,
    codes: tuple[MarkerCode, ...],
    factors: Mapping[str, str],
    *,
    unit: str,
    highest: int = 1000,
    missing: bool = False,
) -> Marker:
    """A marker without rules of its own."""
    spelled = {spelling: factor for factor in factors for spelling in SPELLINGS[factor]}
    return Marker(
        id=name,
        title=name,
        name=name,
        unit=unit,
        codes=codes,
        names=(name,),
        beside_name=(),
        factors={
            spelling: Fraction(factors[spelled_unit]) for spelling, spelled_unit in spelled.items()
        },
        units=spelled,
        unit_may_be_missing=missing,
        plausible=Interval(Fraction(0), Fraction(highest)),
        pairing=Pairing(around="index", hours=72),
        limits={},
        used_if_hemolysed=True,
        shows_hemolysis=False,
        bands=(),
        grades=(),
        near=None,
        dimensions=dimensions(factors) if unit else {},
    )


def dimensions(factors: Mapping[str, str]) -> dict[Dimension, Fraction]:
    """The factors of the base units."""
    sizes = {name: PIECES.size_of(name) for name in factors}
    return {
        size.dimension: Fraction(factors[name]) / size.amount
        for name, size in sizes.items()
        if size is not None
    }


def loinc(code: str, method: str | None = None) -> MarkerCode:
    """A LOINC code of a marker."""
    return MarkerCode(system=LOINC, code=code, name=code, method=method)


ENZYME = marker(
    "enzyme",
    (
        loinc("1742-6"),
        loinc("1743-4", "with P5P"),
        loinc("1744-2", "without P5P"),
        MarkerCode(system=LOCAL, code="ENZ", name="ENZ"),
    ),
    {"U/L": "1", "ukat/L": "60"},
    unit="U/L",
)
PIGMENT = marker("pigment", (loinc("1975-2"),), {"mg/dL": "1"}, unit="mg/dL", highest=100)
RATIO = marker("ratio", (loinc("6301-6"),), {"1": "1"}, unit="", highest=20, missing=True)
CELLS = marker("cells", (loinc("777-3"),), {"10*9/L": "1"}, unit="10*9/L", highest=5000)
DRUG = marker("drug", (loinc("3298-7"),), {"ug/mL": "1", "mg/L": "1"}, unit="ug/mL")
MARKERS = {marker.id: marker for marker in (ENZYME, PIGMENT, RATIO, CELLS, DRUG)}

PACK = Pack(
    id="invented",
    version="1.0.0",
    title="Invented markers",
    publisher="tests",
    url="https://pack.example",
    usage="For tests.",
    notices=(),
    services=(),
    scope=Scope(
        silent_if_deceased=True,
        silent_when=(),
        index_days=90,
        draw_minutes=60,
        future_hours=24,
        order_days=30,
    ),
    override_reasons=(),
    precedence=(),
    units=KNOWN,
    unit_pieces=PIECES,
    markers=MARKERS,
    measures={},
    facts={},
    orders={},
    rules={},
    sources={},
    examples=(),
    marker_codes={(c.system, c.code): (m.id, c) for m in MARKERS.values() for c in m.codes},
    names=NameIndex(
        {
            "enzyme": MarkerName(phrases(("enzyme", "en zyme")), phrases(("in serum",))),
            "pigment": MarkerName(phrases(("pigment",)), phrases(("total",))),
        },
        {words_of("Enzyme with helper"): Named("enzyme", "with P5P")},
    ),
)


def observation(**other: object) -> Json:
    """A good result of the enzyme: 42 U/L, yesterday. `None` takes an element away."""
    made: Json = {
        "resourceType": "Observation",
        "id": "r1",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "1742-6"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": DAY,
        "valueQuantity": {"value": 42, "unit": "U/L", "code": "U/L"},
        **other,
    }
    return {name: value for name, value in made.items() if value is not None}


def coded(*codes: str, system: str | None = LOINC, **other: object) -> Json:
    """A CodeableConcept."""
    pair = {"system": system} if system else {}
    return {"coding": [{**pair, "code": code} for code in codes], **other}


def quantity(value: object, **other: object) -> Json:
    """A Quantity in U/L."""
    return {"value": value, "unit": "U/L", **other}


def bundle(*resources: Json, **other: object) -> Json:
    """A searchset of these resources, with their addresses."""
    entries = [
        {
            "fullUrl": f"https://fhir.example/{resource['resourceType']}/{resource.get('id')}",
            "resource": resource,
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **other}


def input_of(*resources: Json, **other: object) -> PatientInput:
    """The input of resources in one Bundle."""
    data = json.dumps(bundle(*resources, **other)).encode()
    return input_from_document(read_resources(data))


def record_of(
    *resources: Json,
    zone: tzinfo = UTC,
    names: bool = False,
    available: frozenset[Kind] = frozenset(),
) -> PatientRecord:
    """The record of resources in one Bundle."""
    given = input_of(*resources)
    return read(replace(given, available=given.available | available), zone, names=names)


def read(
    given: PatientInput,
    zone: tzinfo = UTC,
    *,
    names: bool = False,
    deadline: Deadline = NO_DEADLINE,
) -> PatientRecord:
    """The record of the input, by the small pack."""
    reader = PackReader(PACK, names_fallback=names)
    return read_record(reader, given, now=NOW, zone=zone, deadline=deadline)


def result_of(made: Json, *, zone: tzinfo = UTC, names: bool = False) -> LabResult:
    """The only result of a resource; nothing may be set aside."""
    record = record_of(made, zone=zone, names=names)

    assert record.set_aside == ()
    (result,) = record.results
    return result


def aside_of(made: Json, *, zone: tzinfo = UTC, names: bool = False) -> SetAside:
    """The only thing set aside of a resource; there may be no result."""
    record = record_of(made, zone=zone, names=names)

    assert record.results == ()
    (aside,) = record.set_aside
    return aside


def reasons_of(*resources: Json, names: bool = False) -> list[str]:
    """Why things were set aside."""
    return [result.reason for result in record_of(*resources, names=names).set_aside]
