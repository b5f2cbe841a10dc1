# SPDX-License-Identifier: Apache-2.0
"""Patients of the cases of the rules, each written as PDF, HL7 v2, CSV, XLSX and FHIR.

Values, limits, age and sex are those of the named case of `cards/liver/rules`; names are invented.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tests.reports.corpus.languages import LANGUAGES, Language
from tests.reports.corpus.layouts import LAYOUTS
from tests.reports.corpus.patients import Patient, Printed
from tests.reports.workbooks import Cell, sheet_xml, workbook

BORN = date(1976, 2, 3)  # 50 years old on the day of the results
NEWEST, EARLIER = datetime(2026, 6, 14, 8, 30), datetime(2026, 5, 4, 8, 30)  # noqa: DTZ001 - as printed
_CODES = {
    "alt": "1742-6",
    "ast": "1920-8",
    "alp": "6768-6",
    "total-bilirubin": "1975-2",
    "inr": "6301-6",
    "platelets": "777-3",
}


@dataclass(frozen=True, slots=True)
class GivenResult:
    """A result, its upper limit as a range that ends there, and what was measured 41 days ago."""

    marker: str
    value: str
    unit: str = "U/L"
    upper: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class GivenPatient:
    """The case of a rule, with the severities of the cards that are known to come."""

    case: str
    results: tuple[GivenResult, ...]
    expected: tuple[str, ...]
    hemolyzed: bool = False

    @property
    def is_followed(self) -> bool:
        """Whether there are results of two days."""
        return any(result.before for result in self.results)

    def taken(self) -> Iterable[tuple[GivenResult, str, datetime]]:
        """Each result with its value, by the day of collection."""
        for result in self.results:
            yield result, result.value, NEWEST
            if result.before:
                yield result, result.before, EARLIER


PATIENTS = (
    GivenPatient("alt-very-low", (GivenResult("alt", "1"),), ("info",)),
    GivenPatient("alt-mild", (GivenResult("alt", "80.5"),), ("info",)),
    GivenPatient("delta-rise", (GivenResult("alt", "66", before="30"),), ("info",)),
    GivenPatient(
        "cholestatic-jaundice",
        (
            GivenResult("total-bilirubin", "2.5", "mg/dL", "1.2"),
            GivenResult("alp", "121", upper="120"),
        ),
        ("warning",),
    ),
    GivenPatient(
        "coagulopathy-raised-alt",
        (GivenResult("alt", "80", upper="40"), GivenResult("inr", "1.5", "")),
        ("warning",),
    ),
    GivenPatient(
        "hys-law-pattern",
        (
            GivenResult("alt", "120", upper="40"),
            GivenResult("alp", "110", upper="120"),
            GivenResult("total-bilirubin", "2.5", "mg/dL", "1.2"),
        ),
        ("critical",),
    ),
    GivenPatient("alt-over-1000", (GivenResult("alt", "1000", upper="40"),), ("critical",)),
    GivenPatient(
        "alt-over-1000, in a hemolyzed specimen",
        (GivenResult("alt", "1000", upper="40"),),
        ("critical",),
        hemolyzed=True,
    ),
)


def as_pdf(given: GivenPatient, language: Language, layout: str) -> bytes:
    """The report in one of the layouts of the corpus."""
    followed = given.is_followed
    patient = Patient(
        name="Max Muster",
        identity="4711",
        born=BORN,
        female=False,
        collected=[NEWEST, EARLIER, EARLIER] if followed else [NEWEST],
        rows=[_printed(result, language) for result in given.results],
        urine=[],
        hemolyzed=given.hemolyzed,
    )
    return LAYOUTS[layout].write(patient, language)


def _printed(result: GivenResult, language: Language) -> Printed:
    before = _shown(result.before, language)
    return Printed(
        marker=result.marker,
        name=language.tests[result.marker][0],
        text=_shown(result.value, language),
        truth=result.value,
        comparator=None,
        unit=result.unit,
        low=None,
        high=result.upper or None,
        range_text=f"{language.up_to} {_shown(result.upper, language)}" if result.upper else "",
        flag="",
        earlier=[before, ""],
    )


def _shown(number: str, language: Language) -> str:
    return number.replace(".", ",") if language.comma else number


def as_hl7v2(given: GivenPatient) -> bytes:
    """A message with an order for each day of collection."""
    segments = [
        r"MSH|^~\&|LAB|HOSPITAL|EHR|HOSPITAL|20260615080000||ORU^R01|1|P|2.5.1",
        f"PID|1||4711^^^HOSPITAL^MR||Muster^Max||{BORN:%Y%m%d}|M",
    ]
    for day in (NEWEST, EARLIER):
        segments.append(f"OBR|1|||PANEL^Panel^L|||{day:%Y%m%d}")
        for result, value, taken in given.taken():
            if taken == day:
                code = f"{_CODES[result.marker]}^{result.marker}^LN"
                limit = f"<={result.upper}" if result.upper else ""
                segments.append(f"OBX|1|NM|{code}||{value}|{result.unit}|{limit}||||F")
        if given.hemolyzed and day == NEWEST:
            segments.append("SPM|1|||SER^Serum^HL70487" + "|" * 20 + "HEM^Hemolyzed^HL70493")
    return "\r".join([*segments, ""]).encode()


def table_of(given: GivenPatient, language: Language) -> list[list[str]]:
    """The cells of a table in the words of a language."""
    labels, headings = language.labels, language.headings
    rows = [[labels["name"], "Max Muster"], [labels["id"], "4711"]]
    rows += [[labels["birth"], BORN.isoformat()], [labels["sex"], language.sexes[1]]]
    rows += [[language.hemolyzed]] if given.hemolyzed else []
    kinds = (headings["name"], headings["result"], headings["unit"], headings["range"])
    rows.append([*kinds, labels["collected"]])
    for result, value, taken in given.taken():
        limit = f"<={_shown(result.upper, language)}" if result.upper else ""
        name = language.tests[result.marker][0]
        day = taken.date().isoformat()
        rows.append([name, _shown(value, language), result.unit, limit, day])
    return rows


def as_csv(given: GivenPatient, language: Language) -> bytes:
    """The table with semicolons."""
    return "".join(f"{';'.join(row)}\n" for row in table_of(given, language)).encode()


def as_workbook(given: GivenPatient, language: Language) -> bytes:
    """The table as XLSX, with the values as numbers."""
    rows = table_of(given, language)
    values = iter(value for _, value, _ in given.taken())
    starts = len(rows) - len(list(given.taken()))
    typed: list[list[Cell]] = [
        [*row[:1], _number(next(values)), *row[2:]] if at >= starts else list(row)
        for at, row in enumerate(rows)
    ]
    return workbook(sheet_xml(typed))


def as_fhir(given: GivenPatient) -> bytes:
    """A Bundle with codes of LOINC and units of UCUM, as a server sends it."""
    patient = {
        "resourceType": "Patient",
        "id": "4711",
        "gender": "male",
        "birthDate": BORN.isoformat(),
    }
    results = [_observation(given, *taken) for taken in given.taken()]
    entries = [{"resource": resource} for resource in (patient, *results)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return json.dumps(bundle).encode()


def _observation(
    given: GivenPatient, result: GivenResult, value: str, taken: datetime
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": _CODES[result.marker]}]},
        "subject": {"reference": "Patient/4711"},
        "effectiveDateTime": taken.date().isoformat(),
        "valueQuantity": {"value": _number(value), "unit": result.unit},
    }
    if result.upper:
        found["referenceRange"] = [{"high": {"value": _number(result.upper), "unit": result.unit}}]
    if given.hemolyzed:
        found["interpretation"] = [{"text": "hemolyzed"}]
    return found


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


BY_CODE = {language.code: language for language in LANGUAGES}
