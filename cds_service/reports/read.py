# SPDX-License-Identifier: Apache-2.0
"""A file of any of the formats -> a report, and what of it the packs understand."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.json import Decoder, encode

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.fhir.elements import CodeableConcept
from cds_service.intake.marker_lookup import MarkerLookup, MarkerMatch
from cds_service.reports.bounded import ReaderOptions, ReadFile, read_bounded
from cds_service.reports.formats import read_any
from cds_service.reports.hl7v2.messages import is_hl7v2
from cds_service.reports.observations import concept_of
from cds_service.reports.report import DOUBTS, LabReport, PatientReport, Place, ReportRow
from cds_service.reports.signatures import is_opendocument, is_paged, is_workbook
from cds_service.reports.tables.columns_file import read_columns_file

MAX_BYTES = 20_000_000
# A text up to this size is read here, in milliseconds; a process of its own takes half a second.
SMALL = 64_000
_CONCEPT: Decoder[CodeableConcept] = Decoder(CodeableConcept)


class RecognizedRow(NamedTuple):
    """A row, and the marker that it belongs to, if a pack knows the test."""

    row: ReportRow
    marker: str | None

    @property
    def is_certain(self) -> bool:
        """Whether a careful reader would decide what the row says; a marker has a number.

        What was read from a picture never is.
        """
        if self.row.is_scanned:
            return False
        if self.row.doubt in {None, "not-a-number"}:
            return self.row.value is not None or self.marker is None
        return False

    @property
    def why(self) -> str:
        """Why it is not certain, in words; empty if it is."""
        doubt = self.row.doubt
        return "" if self.is_certain or doubt is None else DOUBTS[doubt]


def is_exact(data: bytes) -> bool:
    """Whether a file is a report of a format that is exact, and needs nobody to look at it."""
    return is_hl7v2(data)


def read_report(data: bytes, columns: Path | None = None, *, proposes: bool = False) -> LabReport:
    """What a file says; `columns` is a file that says what the columns of a table are.

    `proposes` is that of `ReaderOptions`. Raises `RequestError` if it is none of the formats.
    """
    roles = None if columns is None else read_columns_file(columns)
    return read_file(data, ReaderOptions(columns=roles, proposes=proposes))[0]


def read_file(data: bytes, options: ReaderOptions) -> ReadFile:
    """The same, with pictures of the pages on demand.

    What is not small, and what a library of C or Rust takes apart, is read in a process of its own,
    within bounds of time and memory. Raises `RequestError`, or `PayloadTooLarge` beyond them.
    """
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge(f"Expected a file of at most {MAX_BYTES // 1_000_000} MB.")
    if is_paged(data):
        _check_extra("pdfplumber", "A PDF or picture")
    elif is_workbook(data):
        _check_extra("python_calamine", "A workbook (XLSX)")
    elif len(data) <= SMALL and not is_opendocument(data):
        return read_any(data, options)
    return read_bounded("cds_service.reports", data, options)


def _check_extra(module: str, kind: str) -> None:
    if find_spec(module) is None:
        raise RequestError(f"{kind} needs the extra `reports`: pip install 'cds-service[reports]'.")


def recognized(about: PatientReport, lookups: Iterable[MarkerLookup]) -> list[RecognizedRow]:
    """The rows of a patient with their markers."""
    known = tuple(lookups)
    return [RecognizedRow(row, _marker(row, known)) for row in about.rows]


def _marker(row: ReportRow, lookups: Iterable[MarkerLookup]) -> str | None:
    if row.specimen:
        return None
    concept = _CONCEPT.decode(encode(concept_of(row)))
    claims = (lookup.of(concept) for lookup in lookups)
    return next(
        (claim.marker for claim in claims if isinstance(claim, MarkerMatch) and claim.is_read), None
    )


def as_json(report: LabReport, lookups: Iterable[MarkerLookup]) -> dict[str, Any]:
    """A report as JSON-able data: `patient`, which is none where there are several, and `rows`."""
    lookups = tuple(lookups)
    several = len(report.patients) > 1
    rows: list[dict[str, Any]] = []
    for about in report.patients:
        own = {"patient_id": about.patient.id or None} if several else {}
        rows.extend({**_row_as_json(row), **own} for row in recognized(about, lookups))
    people = [_patient_as_json(about) for about in report.patients]
    return {
        "format": report.format,
        "patient": None if len(people) != 1 else people[0],
        **({"patients": people} if several else {}),
        **({"columns": _columns_as_json(report)} if report.columns else {}),
        **({"sample": report.sample} if report.sample else {}),
        "rows": rows,
    }


def _columns_as_json(report: LabReport) -> dict[str, str] | list[str]:
    """As a file of columns has them."""
    if any(heading for heading, _ in report.columns):
        return dict(report.columns)
    return [role for _, role in report.columns]


def _patient_as_json(about: PatientReport) -> dict[str, Any]:
    who = about.patient
    return {
        "id": who.id or None,
        "name": who.name or None,
        "birthDate": who.birth_date,
        "sex": who.sex,
    }


def _row_as_json(recognized: RecognizedRow) -> dict[str, Any]:
    row = recognized.row
    value = row.value if recognized.is_certain else None
    limits = row.range
    return {
        "name": row.name,
        "marker": recognized.marker,
        "comparator": value.comparator if value else None,
        "value": value.number if value else None,
        "text": row.text or None,
        "unit": row.unit or None,
        "low": limits.low if limits else None,
        "high": limits.high if limits else None,
        "range": row.range_text or None,
        "flag": row.flag or None,
        "date": row.date,
        "status": row.status,
        "hemolyzed": row.hemolyzed,
        "certain": recognized.is_certain,
        **({"place": _place_as_json(row.place)} if row.place else {}),
        **(_scan_as_json(row) if row.is_scanned else {}),
        **({"why": recognized.why} if recognized.why else {}),
    }


def _scan_as_json(row: ReportRow) -> dict[str, Any]:
    value = row.proposed
    return {
        "scanned": True,
        "proposed": f"{value.comparator or ''}{value.number}" if value else None,
    }


def _place_as_json(place: Place) -> dict[str, Any]:
    box = (place.x0, place.top, place.x1, place.bottom)
    return {"page": place.page, "box": [round(edge, 1) for edge in box]}
