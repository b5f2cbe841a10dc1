# SPDX-License-Identifier: Apache-2.0
"""The page for a report in hand: read, compared row by row by a person, and then evaluated.

Where the sandbox is there, this is too, by the same rules: nothing of a report stands in an
address, in a log or on a disk.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from flask import Blueprint, Response, g, request
from msgspec import DecodeError
from msgspec.json import Decoder, encode

from cds_service.copying import replace
from cds_service.errors import CdsServiceError, RequestError
from cds_service.knowledge.model.pack import Marker
from cds_service.reports.bounded import PagePicture, ReaderOptions
from cds_service.reports.confirmed import (
    RowEntry,
    check_patient,
    confirmed_rows,
    entry_of,
    kept_in_form,
    read_from_form,
)
from cds_service.reports.observations import as_bundle
from cds_service.reports.read import is_exact, read_file, recognized
from cds_service.reports.report import LabReport, PatientReport, Place, ReportPatient
from cds_service.reports.tables.columns_file import columns_file, read_columns_text
from cds_service.reports.tables.mapping import ROLES
from cds_service.sandbox.requests import request_of_subject
from cds_service.sandbox.services import beside, chosen
from cds_service.sandbox.uploads import read_upload
from cds_service.service import Knowledge, lookups_of
from cds_service.settings import Settings
from cds_service.web.html.forms import Form, read_form, refuse_cross_site
from cds_service.web.html.rendering import SCRIPTED
from cds_service.web.outcomes import answer_to, message_for
from cds_service.web.routes.sandbox_context import (
    SandboxContext,
    Submission,
    cards_page,
    sandbox_page,
)

MOST_ROWS: Final = 300
_WITH_PICTURES: Final = f"{SCRIPTED}; img-src data:"  # those of a PDF, which stand in the page
_FIELDS_A_ROW: Final = 7
_MOST_COLUMNS: Final = 60
_BESIDE_ROWS: Final = 20 + 2 * _MOST_COLUMNS
_PICTURE: Final = Decoder(PagePicture)


def blueprint(tried: SandboxContext) -> Blueprint:
    """The addresses of the page."""
    routes = Blueprint("report", __name__)
    # A report names nobody that a memory of cards could tell from another: nothing is dismissed.
    context = replace(tried, memory=None)
    settings = context.settings

    @routes.get("/report")
    def start() -> Response:
        return sandbox_page("report.html", {"wrong": "", "text": ""})

    @routes.post("/report/rows")
    def rows() -> Response:
        form = _form(settings)
        with context.turn():
            return _rows_page(context, form)

    @routes.post("/report/cards")
    def cards() -> Response:
        form = _form(settings)
        with context.turn():
            return _cards(context, form)

    @routes.errorhandler(CdsServiceError)
    def refused(error: CdsServiceError) -> Response:
        g.entry.problem = type(error).__name__
        answer = answer_to(error)
        values = {"wrong": message_for(error), "text": g.get("text", "")}
        response = sandbox_page("report.html", values, answer.status_code)
        if "Retry-After" in answer.headers:
            response.headers["Retry-After"] = answer.headers["Retry-After"]
        return response

    return routes


def _form(settings: Settings) -> Form:
    refuse_cross_site(request)
    most = MOST_ROWS * _FIELDS_A_ROW + _BESIDE_ROWS
    return read_form(request, settings.max_body_bytes, most_parts=most)


def _rows_page(context: SandboxContext, form: Form) -> Response:
    """The rows of a report, for a person to compare and correct."""
    source = _source_of(form)
    g.text = source.text
    if not source.data.strip():
        raise RequestError("Expected a file or a text.")
    options = ReaderOptions(pictures=True, proposes=True, columns=_columns_in(form))
    report, pictures = read_file(source.data, options)
    if sum(len(about.rows) for about in report.patients) > MOST_ROWS:
        raise RequestError(f"Expected a report of at most {MOST_ROWS} rows.")
    lookups = lookups_of(context.knowledge)
    exact = is_exact(source.data)
    people = []
    for about in report.patients:
        numbered = enumerate(recognized(about, lookups), start=1)
        entries = [entry_of(row, number, is_exact=exact) for number, row in numbered]
        people.append(PersonRows(about.patient, entries))
    return _shown_rows(context, people, table=_table_of(report, source), pictures=pictures)


class _Source(NamedTuple):
    """What was given: a file, or a text; `is_file` says which."""

    data: bytes
    is_file: bool

    @property
    def text(self) -> str:
        return "" if self.is_file else self.data.decode()


class PersonRows(NamedTuple):
    """A patient of a report with the rows about them, as they stand in a form."""

    patient: ReportPatient
    entries: Sequence[RowEntry]


def _source_of(form: Form) -> _Source:
    """The file or text; a file of which the columns are corrected comes back with the form."""
    if file := form.files.get("file"):
        return _Source(file, is_file=True)
    if kept := form.field("kept-file"):
        try:
            return _Source(b64decode(kept, validate=True), is_file=True)
        except ValueError:
            raise RequestError("Expected a file of the page before.") from None
    return _Source(form.fields.get("text", "").encode(), is_file=False)


def _columns_in(form: Form) -> dict[str, str] | list[str] | None:
    """What a person says that the columns are, or a file of columns; none if neither is there."""
    if kept := form.files.get("columns"):
        return read_columns_text(kept)
    roles: list[str] = []
    headings: list[str] = []
    while role := form.field(f"role-{len(roles)}"):
        headings.append(form.fields.get(f"heading-{len(roles)}", ""))
        roles.append(role)
    if not roles:
        return None
    if not any(headings):
        return roles
    return dict(zip(headings, roles, strict=True))


def _table_of(report: LabReport, source: _Source) -> Mapping[str, object] | None:
    """The columns of a table with what is needed to read it again; none for another format."""
    if not report.columns:
        return None
    written = columns_file(report.columns).encode()
    return {
        "columns": report.columns,
        "sample": report.sample,
        "roles": ROLES,
        "text": source.text,
        "file": b64encode(source.data).decode() if source.is_file else "",
        "written": b64encode(written).decode(),
    }


def _shown_rows(
    context: SandboxContext,
    people: Sequence[PersonRows],
    *,
    table: Mapping[str, object] | None = None,
    pictures: Sequence[PagePicture] = (),
    wrong: RequestError | None = None,
) -> Response:
    read = [entry.as_read for about in people for entry in about.entries]
    places = [row.place for row in read]
    values = {
        # What is below the last row of a page need not be looked at.
        "ends": {
            picture.page: max(
                (at.bottom for at in places if at and at.page == picture.page),
                default=picture.height,
            )
            for picture in pictures
        },
        "people": [
            {
                "patient": about.patient,
                "rows": [
                    {"entry": entry, "kept": kept_in_form(entry.as_read), "place": place}
                    for place, entry in enumerate(about.entries)
                ],
            }
            for about in people
        ],
        "marks": _marks(people),
        "markers": sorted(
            _markers(context.knowledge).values(), key=lambda marker: marker.title.lower()
        ),
        "is_scanned": any(row.is_scanned for row in read),
        "table": table,
        "pictures": [
            (picture, b64encode(picture.jpeg).decode(), encode(picture).decode())
            for picture in pictures
        ],
        "wrong": "" if wrong is None else str(wrong),
        "wrong_at": None if wrong is None else wrong.where,
    }
    status = 200 if wrong is None else 400
    return sandbox_page("report_rows.html", values, status, policy=_WITH_PICTURES)


class _Mark(NamedTuple):
    """A box on the picture of a page, and the numbers of the rows that were read there."""

    place: Place
    numbers: str
    is_open: bool


def _marks(people: Sequence[PersonRows]) -> list[_Mark]:
    """The boxes; columns of dates have several rows in one."""
    found: dict[Place, list[RowEntry]] = {}
    for about in people:
        for entry in about.entries:
            if entry.as_read.place:
                found.setdefault(entry.as_read.place, []).append(entry)
    marks: list[_Mark] = []
    for place, entries in found.items():
        first, last = entries[0].as_read.number, entries[-1].as_read.number
        is_open = any(entry.as_read.why or not entry.marker for entry in entries)
        marks.append(_Mark(place, str(first) if first == last else f"{first}-{last}", is_open))
    return marks


def _pictures_in(form: Form) -> list[PagePicture]:
    """The pictures that a form brings back, so that they can be shown again."""
    kept = [form.fields[key] for key in form.fields if key.startswith("picture-")]
    try:
        return [_PICTURE.decode(text) for text in kept]
    except DecodeError:
        raise RequestError("Expected a picture of the page before.") from None


def _cards(context: SandboxContext, form: Form) -> Response:
    """The cards for the rows that a person has confirmed."""
    entries = _entries(form)
    who = ReportPatient(
        name=form.field("name"),
        birth_date=form.field("birth") or None,
        sex=form.field("sex") or None,
    )
    try:
        check_patient(who)
        rows = confirmed_rows(entries, _markers(context.knowledge))
    except RequestError as error:
        people = [PersonRows(who, entries)]
        pictures = _pictures_in(form)
        return _shown_rows(context, people, pictures=pictures, wrong=error)
    bundle = as_bundle(LabReport("table", (PatientReport(who, rows),)))
    limits = context.settings
    paper = read_upload(bundle, max_depth=limits.max_depth, max_entries=limits.max_entries)
    (subject,) = paper.subjects
    offer = chosen(context.offers, "")
    others = tuple(
        (other, request_of_subject(other, subject)) for other in beside(context.offers, offer)
    )
    submission = Submission(
        offer=offer,
        body=request_of_subject(offer, subject),
        title="The rows that you confirmed",
        others=others,
    )
    left_out = dict.fromkeys(
        entry.as_read.name for entry in entries if entry.marker and not entry.is_confirmed
    )
    return cards_page(
        context,
        submission,
        "report_cards.html",
        here="report",
        fhir=b64encode(bundle).decode(),
        rows=len(rows),
        left_out=list(left_out),
    )


def _entries(form: Form) -> list[RowEntry]:
    found: list[RowEntry] = []
    while (kept := form.fields.get(f"row-{len(found)}")) is not None:
        number = len(found)
        found.append(
            RowEntry(
                as_read=read_from_form(kept),
                marker=form.field(f"marker-{number}"),
                value=form.field(f"value-{number}"),
                unit=form.field(f"unit-{number}"),
                range=form.field(f"range-{number}"),
                date=form.field(f"date-{number}") or form.field("date"),
                is_confirmed=form.field(f"use-{number}") != "",
            )
        )
    return found


def _markers(knowledge: Knowledge) -> dict[str, Marker]:
    return {marker.id: marker for pack in knowledge.packs for marker in pack.markers.values()}
