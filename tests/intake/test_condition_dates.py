# SPDX-License-Identifier: Apache-2.0
"""When a condition was recorded, its displays, and the class of an encounter."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from cds_service.fhir.resources import Condition, Encounter
from cds_service.intake.chart import condition_in_force, encounter_classes
from cds_service.intake.times import Times
from cds_service.labs.patient_record import Recorded

ZONE = timezone(timedelta(hours=-5))
NOW = datetime(2026, 6, 15, 9, 0, tzinfo=ZONE)
CODE = {
    "coding": [{"system": "icd-10-cm", "code": " P59.9 ", "display": "Jaundice"}, {"code": "x"}]
}


def condition(**more: object) -> Recorded:
    read = msgspec.convert({"resourceType": "Condition", "code": CODE}, dict)
    found = condition_in_force(
        msgspec.json.decode(msgspec.json.encode(read | more), type=Condition), NOW, Times(NOW, ZONE)
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sent", "recorded"),
    [
        ({}, None),
        ({"recordedDate": "2026-06-01"}, datetime(2026, 6, 1, tzinfo=UTC)),
        ({"recordedDate": "2026-06-01T10:00:00Z"}, datetime(2026, 6, 1, 10, tzinfo=UTC)),
        (
            {"recordedDate": "2026-06-01", "onsetDateTime": "2020"},
            datetime(2026, 6, 1, tzinfo=UTC),
        ),
        ({"onsetDateTime": "2026-05-02"}, datetime(2026, 5, 2, tzinfo=UTC)),
        ({"onsetPeriod": {"start": "2026-05-03"}}, datetime(2026, 5, 3, tzinfo=UTC)),
        ({"recordedDate": "soon", "onsetDateTime": "2026-05-02"}, datetime(2026, 5, 2, tzinfo=UTC)),
        ({"recordedDate": 7, "onsetPeriod": "x"}, None),
        ({"recordedDate": "2026-05"}, datetime(2026, 5, 31, 23, 59, 59, tzinfo=ZONE)),
    ],
)
def test_when_a_condition_was_recorded(sent: dict[str, object], recorded: datetime | None) -> None:
    assert condition(**sent).recorded == recorded


def test_a_display_stands_with_its_code() -> None:
    ((code, display),) = condition().displays

    assert (code[1], display) == ("P59.9", "Jaundice")


@pytest.mark.parametrize(
    ("status", "sent", "classes"),
    [
        ("in-progress", {"code": "imp"}, ("IMP",)),
        ("in-progress", [{"coding": [{"code": "EMER"}]}], ("EMER",)),
        ("in-progress", "inpatient", ()),
        ("in-progress", None, ()),
        ("finished", {"code": "IMP"}, ()),
    ],
)
def test_the_class_of_an_encounter_in_progress(
    status: str, sent: object, classes: tuple[str, ...]
) -> None:
    body = {"resourceType": "Encounter", "status": status, "class": sent}
    encounter = msgspec.json.decode(msgspec.json.encode(body), type=Encounter)

    assert encounter_classes([encounter, encounter]) == classes
