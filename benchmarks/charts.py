# SPDX-License-Identifier: Apache-2.0
"""Hook requests for measuring: seeded, and in the shape that EHRs send.

A chart is a patient-view request with a number of Observations of about 1.3 KB each. Its codes,
units and limits are those of the pack, so it measures any pack. What intake must make of it comes
along, so that no wrong answer is ever timed.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import sqrt
from typing import Any

import orjson

from cds_service.knowledge.model.code_systems import LOINC
from cds_service.knowledge.model.pack import Marker, Pack

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SIZES = (5, 50, 500)
HOOK_INSTANCE = "5a4b5f7e-0d3c-4a56-9d63-1b0f6f0c0002"
Json = dict[str, Any]

_SEED = 20260115
_PATIENT = "benchmark"
_KNOWN_SHARE = 0.6  # of the Observations of a chart, how many belong to a marker
_DAYS_APART = 30
_LEVELS = (0.4, 0.6, 0.8, 0.9, 1.5, 2.6)  # of a limit: what values are drawn from
_CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
_INTERPRETATIONS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A request body, what it was made of, and the results that intake must find in it."""

    name: str
    body: bytes
    observations: int
    expected: Counter[tuple[str, Fraction]]  # (marker, value in the unit of the marker)
    unreadable: int = 0


@dataclass(slots=True)
class _Draft:
    """A request that is being put together, before it is written as JSON."""

    request: Json
    sheets: list[Json]
    truths: list[tuple[str, Fraction] | None]  # for each sheet what it says, if it is known

    @property
    def bundle(self) -> Json:
        bundle: Json = self.request["prefetch"]["observations"]
        return bundle


def chart(
    pack: Pack,
    size: int,
    *,
    now: datetime = NOW,
    seed: int = _SEED,
    levels: Sequence[float] = _LEVELS,
    markers: int | None = None,
    patient: str = _PATIENT,
) -> Chart:
    """The plain chart of this size; its values are `levels` of the limits of their markers.

    With fewer `markers` the same results have a longer history.
    """
    draft = _draft(pack, size, now, random.Random(seed), levels, markers, patient)
    return _finished("plain", draft)


def variants(pack: Pack, size: int, *, now: datetime = NOW) -> dict[str, Chart]:
    """The same chart in every other form that is measured."""
    return {
        name: change(name, _draft(pack, size, now, random.Random(_SEED)))
        for name, change in _VARIANTS.items()
    }


def one_bad_entry(pack: Pack, size: int, *, now: datetime = NOW) -> Chart:
    """The plain chart with one Observation that cannot be read."""
    return _with_bad("one bad entry", _draft(pack, size, now, random.Random(_SEED)), size)


def _draft(
    pack: Pack,
    size: int,
    now: datetime,
    chance: random.Random,
    levels: Sequence[float] = _LEVELS,
    markers: int | None = None,
    of: str = _PATIENT,
) -> _Draft:
    sheets: list[Json] = []
    truths: list[tuple[str, Fraction] | None] = []
    places = [
        (panel, number, marker)
        for panel, markers in enumerate(_panels(pack, size, chance, markers))
        for number, marker in enumerate(markers)
    ]
    for place, (panel, number, marker) in enumerate(places):
        sheet = _observation(panel, number, now, chance, of)
        if marker is None:
            sheet["code"] = _concept(f"{90000 + place}-{place % 10}", f"Analyte {place}")
            sheet["valueQuantity"] = _quantity(chance.randint(1, 900), "mmol/L")
            truths.append(None)
        else:
            truths.append((marker.id, _fill(sheet, marker, chance, levels)))
        sheets.append(sheet)
    patient = {
        "resourceType": "Patient",
        "id": of,
        "gender": "female",
        "birthDate": f"{now.year - 50}-03-08",
        "name": [{"family": "Example", "given": ["Synthetic"]}],
    }
    request: Json = {
        "hook": "patient-view",
        "hookInstance": HOOK_INSTANCE,
        "fhirServer": "https://ehr.example/r4",
        "context": {"userId": "Practitioner/example", "patientId": of},
        "prefetch": {
            "patient": patient,
            "observations": _searchset(sheets),
            "conditions": _searchset([]),
            "medicationRequests": _searchset([]),
            "medicationStatements": _searchset([]),
            "serviceRequests": _searchset([]),
        },
    }
    return _Draft(request, sheets, truths)


def _panels(
    pack: Pack, size: int, chance: random.Random, markers: int | None
) -> Iterator[list[Marker | None]]:
    """The marker of each Observation of each panel, `None` for one that belongs to no marker.

    The markers that most rules are about come first, so that the smallest chart has them.
    """
    about = Counter(marker for rule in pack.rules.values() for marker in rule.about)
    known = sorted(pack.markers.values(), key=lambda marker: (-about[marker.id], marker.id))[
        :markers
    ]
    full = round(len(known) / _KNOWN_SHARE)
    for begin in range(0, size, full):
        here = min(full, size - begin)
        chosen: list[Marker | None] = [*known[: max(1, round(here * _KNOWN_SHARE))]]
        chosen += [None] * (here - len(chosen))
        chance.shuffle(chosen)
        yield chosen


def _observation(
    panel: int, number: int, now: datetime, chance: random.Random, patient: str
) -> Json:
    """An Observation without code and value; those of one panel were drawn together."""
    drawn = now - timedelta(days=1 + _DAYS_APART * panel)
    issued = (drawn + timedelta(hours=2)).isoformat()
    return {
        "resourceType": "Observation",
        "id": f"lab-{panel}-{number}-{chance.getrandbits(64):016x}",
        "meta": {
            "versionId": "1",
            "lastUpdated": issued,
            "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"],
        },
        "identifier": [
            {"system": "https://laboratory.example/results", "value": f"{chance.getrandbits(40)}"}
        ],
        "basedOn": [{"reference": f"ServiceRequest/order-{panel}", "type": "ServiceRequest"}],
        "status": "final",
        "category": [
            {
                "coding": [{"system": _CATEGORIES, "code": "laboratory", "display": "Laboratory"}],
                "text": "Laboratory",
            }
        ],
        "subject": {"reference": f"Patient/{patient}", "display": "Example, Synthetic"},
        "encounter": {"reference": f"Encounter/visit-{panel}"},
        "effectiveDateTime": drawn.isoformat(),
        "issued": issued,
        "performer": [{"reference": "Organization/laboratory", "display": "Central Laboratory"}],
    }


def _fill(sheet: Json, marker: Marker, chance: random.Random, levels: Sequence[float]) -> Fraction:
    """Give the Observation a code, a value and a range of the marker; the value comes back."""
    code = marker.codes[0]
    sheet["code"] = _concept(code.code, code.name, code.system)
    limit = _limit(marker)
    low, high = marker.plausible.low, marker.plausible.high
    wanted = limit * chance.choice(levels)
    if low is not None and high is not None:
        wanted = min(max(wanted, float(low)), float(high))
    text = f"{wanted:.0f}" if wanted >= 100 else f"{wanted:.1f}"
    sheet["valueQuantity"] = _quantity(float(text) if "." in text else int(text), marker.unit)
    raised = wanted > limit
    sheet["interpretation"] = [
        {
            "coding": [
                {
                    "system": _INTERPRETATIONS,
                    "code": "H" if raised else "N",
                    "display": "High" if raised else "Normal",
                }
            ]
        }
    ]
    sheet["referenceRange"] = [{"high": _quantity(round(limit, 1), marker.unit)}]
    return Fraction(text)


def _limit(marker: Marker) -> float:
    """The amount that results are drawn around: a limit of the pack, or what its range suggests."""
    for choice in reversed(marker.limits.get("upper limit", ())):
        if choice.amount is not None:
            return float(choice.amount)
    low, high = marker.plausible.low or 0, marker.plausible.high or 1000
    return sqrt(low * high) if low else float(high) / 200


def _concept(code: str, name: str, system: str = LOINC) -> Json:
    local = {"system": "urn:oid:1.2.36.1.2001.1005.17", "code": f"L{code}", "display": name}
    return {"coding": [{"system": system, "code": code, "display": name}, local], "text": name}


def _quantity(value: float, unit: str) -> Json:
    quantity: Json = {"value": value}
    if unit:
        quantity |= {"unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return quantity


def _searchset(resources: list[Json]) -> Json:
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(resources)}
    if resources:
        bundle["entry"] = [
            {
                "fullUrl": f"https://ehr.example/r4/{resource['resourceType']}/{resource['id']}",
                "resource": resource,
                "search": {"mode": "match"},
            }
            for resource in resources
        ]
    return bundle


def _finished(
    name: str,
    draft: _Draft,
    *,
    write: Callable[[Json], bytes] = orjson.dumps,
    bad: frozenset[int] = frozenset(),
) -> Chart:
    truths = [truth for place, truth in enumerate(draft.truths) if place not in bad]
    return Chart(
        name=name,
        body=write(draft.request),
        observations=len(draft.sheets),
        expected=Counter(truth for truth in truths if truth is not None),
        unreadable=len(bad),
    )


def _mixed(name: str, draft: _Draft) -> Chart:
    """Every second entry is a resource that nothing is read from."""
    entries: list[Json] = []
    for place, entry in enumerate(draft.bundle["entry"]):
        other = {**entry["resource"], "resourceType": "ImagingStudy", "id": f"study-{place}"}
        entries += [entry, {"resource": other, "search": {"mode": "include"}}]
    draft.bundle["entry"] = entries
    return _finished(name, draft)


def _tag_last(name: str, draft: _Draft) -> Chart:
    for sheet in draft.sheets:
        sheet["resourceType"] = sheet.pop("resourceType")
    return _finished(name, draft)


def _pretty(name: str, draft: _Draft) -> Chart:
    return _finished(
        name, draft, write=lambda request: orjson.dumps(request, option=orjson.OPT_INDENT_2)
    )


def _tenth_bad(name: str, draft: _Draft) -> Chart:
    return _with_bad(name, draft, 10)


def _with_bad(name: str, draft: _Draft, every: int) -> Chart:
    bad = frozenset(range(0, len(draft.sheets), every))
    for place in bad:
        draft.sheets[place]["valueQuantity"] = "high"
    return _finished(name, draft, bad=bad)


def _unmapped(name: str, draft: _Draft) -> Chart:
    for place, sheet in enumerate(draft.sheets):
        sheet["code"] = _concept(f"{90000 + place}-{place % 10}", f"Analyte {place}")
        draft.truths[place] = None
    return _finished(name, draft)


def _non_ascii(name: str, draft: _Draft) -> Chart:
    for sheet in draft.sheets:
        sheet["subject"]["display"] = "Müller, Zoë 李"
        sheet["performer"][0]["display"] = "Λαβορατόριο Ωμέγα"
    return _finished(name, draft)


def _partial_dates(name: str, draft: _Draft) -> Chart:
    """Days without a time."""
    for sheet in draft.sheets:
        sheet["effectiveDateTime"] = sheet["effectiveDateTime"][:10]
    return _finished(name, draft)


_VARIANTS: Mapping[str, Callable[[str, _Draft], Chart]] = {
    "mixed types": _mixed,
    "resourceType last": _tag_last,
    "pretty printed": _pretty,
    "10 % bad entries": _tenth_bad,
    "all unmapped": _unmapped,
    "non-ASCII": _non_ascii,
    "partial dates": _partial_dates,
}
