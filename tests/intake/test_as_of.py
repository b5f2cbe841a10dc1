# SPDX-License-Identifier: Apache-2.0
"""A patient's input as it was at an earlier moment."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from cds_service.cli.evaluate import evaluate
from cds_service.fhir.resources import Patient
from cds_service.intake.as_of import as_of, end_of
from cds_service.service import Knowledge, prepare
from cds_service.settings import Settings
from cds_service.sources.file import input_from_document, read_resources
from tests.intake.intake_fixtures import Json, observation
from tests.web.http_fixtures import knowledge

VIENNA = ZoneInfo("Europe/Vienna")
MOMENT = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
EARLIER, LATER = "2026-03-05T11:59:59Z", "2026-03-05T12:00:01Z"


def there(*resources: Json) -> list[str]:
    """The ids of what was there at MOMENT."""
    data = "\n".join(
        json.dumps(resource) for resource in (*resources, {"resourceType": "Location"})
    )
    given = as_of(input_from_document(read_resources(data.encode())), MOMENT, VIENNA)
    ids = (getattr(entry.resource, "id", None) for entry in given.entries)
    return [reference for reference in ids if reference]


def result(**elements: object) -> Json:
    return observation(id="r", **elements)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-05", datetime(2026, 3, 5, 22, 59, 59, 999_000, tzinfo=UTC)),
        ("2026-06-05", datetime(2026, 6, 5, 21, 59, 59, 999_000, tzinfo=UTC)),
        ("2026-10-25", datetime(2026, 10, 25, 22, 59, 59, 999_000, tzinfo=UTC)),
        ("2026-03-05T09:00Z", datetime(2026, 3, 5, 9, tzinfo=UTC)),
        ("2026-03-05T09:00", datetime(2026, 3, 5, 8, tzinfo=UTC)),
        ("2026-03-05T09:00-05:00", datetime(2026, 3, 5, 14, tzinfo=UTC)),
    ],
)
def test_a_day_is_its_last_millisecond_at_the_site_and_an_instant_is_itself(
    text: str, moment: datetime
) -> None:
    assert end_of(text, VIENNA) == moment


@pytest.mark.parametrize("text", ["", "2026", "2026-03", "yesterday", "2026-02-30", "2026-03-05T"])
def test_nothing_else_is_a_moment(text: str) -> None:
    with pytest.raises(ValueError):
        end_of(text, VIENNA)


@pytest.mark.parametrize(
    ("times", "is_there"),
    [
        ({"effectiveDateTime": EARLIER}, True),
        ({"effectiveDateTime": LATER}, False),
        ({"effectiveDateTime": EARLIER, "issued": LATER}, False),
        ({"effectiveDateTime": LATER, "issued": EARLIER}, True),
        ({"effectiveDateTime": EARLIER, "issued": "no time"}, True),
        ({"effectiveDateTime": "2026-03-05"}, True),
        ({"effectiveDateTime": "2026-03-06"}, False),
        ({"effectiveDateTime": None}, True),
    ],
)
def test_a_result_is_there_from_its_issue_on(times: Json, is_there: bool) -> None:
    assert there(result(**times)) == (["r"] if is_there else [])


def test_what_cannot_be_read_is_not_there_before_its_time() -> None:
    lines = [result(status=7, effectiveDateTime=at) for at in (EARLIER, LATER)]
    data = "\n".join(json.dumps(line) for line in lines).encode()

    given = as_of(input_from_document(read_resources(data)), MOMENT, VIENNA)

    assert [fault.time for fault in given.unreadable] == [EARLIER]


@pytest.mark.parametrize(("issued", "ids"), [(EARLIER, ["r", "d"]), (LATER, [])])
def test_a_result_without_a_time_of_issue_is_issued_with_its_report(
    issued: str, ids: list[str]
) -> None:
    report = {"resourceType": "DiagnosticReport", "id": "d", "issued": issued}
    named: Json = {**report, "result": [{"reference": "Observation/r"}]}

    assert there(result(effectiveDateTime=EARLIER), named) == ids


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("ServiceRequest", "authoredOn"),
        ("MedicationRequest", "authoredOn"),
        ("MedicationStatement", "dateAsserted"),
        ("Condition", "recordedDate"),
        ("Condition", "onsetDateTime"),
    ],
)
def test_orders_medicines_and_conditions_are_there_from_their_date_on(
    kind: str, element: str
) -> None:
    assert there({"resourceType": kind, "id": "x", element: EARLIER}) == ["x"]
    assert there({"resourceType": kind, "id": "x", element: LATER}) == []


@pytest.mark.parametrize(("died", "left"), [(EARLIER, EARLIER), (LATER, None)])
def test_who_died_later_is_alive(died: str, left: str | None) -> None:
    patient = {"resourceType": "Patient", "id": "p", "deceasedDateTime": died}
    data = input_from_document(read_resources(json.dumps(patient).encode()))

    (entry,) = as_of(data, MOMENT, VIENNA).entries

    assert isinstance(entry.resource, Patient)
    assert entry.resource.deceased_date_time == left


def test_evaluate_answers_as_of_a_day_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    low = {
        "resourceType": "Observation",
        "id": "low",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-03-05T22:30:00Z",
        "valueQuantity": {"value": 2, "unit": "U/L"},
    }

    def loaded(settings: Settings) -> Knowledge:
        return prepare(knowledge().packs, zone=ZoneInfo(settings.site_time_zone))

    monkeypatch.setattr("cds_service.cli.evaluate.load_knowledge", loaded)

    def cards(day: str, zone: str) -> int:
        shown = CliRunner(env={"CDS_SITE_TIME_ZONE": zone}).invoke(
            evaluate, ["-", "--json", "--as-of", day], input=json.dumps(low)
        )
        return sum(len(patient["cards"]) for patient in json.loads(shown.stdout)["patients"])

    assert cards("2026-03-05", "Europe/Vienna") == 1
    assert cards("2026-03-05", "Asia/Tokyo") == 0  # there the day ended at 15:00 UTC
    assert cards("2026-03-06", "Asia/Tokyo") == 1


def test_what_is_no_moment_is_wrong_use() -> None:
    assert CliRunner().invoke(evaluate, ["-", "--as-of", "March"], input="{}").exit_code != 0
