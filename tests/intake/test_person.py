# SPDX-License-Identifier: Apache-2.0
"""Who the results are about, of one Patient and of several."""

from datetime import date

import pytest

from cds_service.copying import replace
from cds_service.labs.patient_record import PatientRecord
from tests.intake.intake_fixtures import Json, input_of, observation, read

SYSTEM = "https://ehr.example/mrn"


def patient(**other: object) -> Json:
    return {"resourceType": "Patient", "id": "p1", **other}


def record(*patients: Json) -> PatientRecord:
    return read(replace(input_of(observation(), *patients), patient_id="p1"))


def number(*values: str) -> Json:
    return {"identifier": [{"system": SYSTEM, "value": value} for value in values]}


def is_contradictory(found: PatientRecord) -> bool:
    return "contradictory" in [gap.lack for gap in found.incomplete]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"birthDate": "1960-01-01"}, {"birthDate": "2018-02-03"}),
        ({"gender": "male"}, {"gender": "female"}),
        ({"gender": "male"}, {"gender": "other"}),
        ({"deceasedBoolean": True}, {"deceasedBoolean": False}),
        ({"deceasedDateTime": "2026-01-01"}, {}),
        (number("1"), number("2")),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_patients_that_contradict_each_other_are_named(
    one: Json, other: Json, turned: bool
) -> None:
    sent = [patient(**one), patient(**other)]

    assert is_contradictory(record(*(sent[::-1] if turned else sent)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"birthDate": "1960-01-01"}, {}),
        ({"birthDate": "1960-01-01"}, {"birthDate": "1960"}),
        ({"gender": "male"}, {"gender": "unknown"}),
        ({"gender": "male"}, {"gender": " Male"}),
        ({"deceasedBoolean": True}, {"deceasedDateTime": "2026-01-01"}),
        (number("1"), number("0", "1")),
    ],
)
def test_what_one_leaves_out_another_supplies(one: Json, other: Json) -> None:
    first, second = (
        record(patient(**one), patient(**other)),
        record(patient(**other), patient(**one)),
    )

    assert not is_contradictory(first)
    assert first.patient == second.patient == record(patient(**one)).patient


def test_in_what_they_contradict_each_other_none_is_believed() -> None:
    found = record(
        patient(birthDate="1960-01-01", gender="male", deceasedBoolean=True),
        patient(birthDate="2018-02-03", gender="female"),
    ).patient

    assert found.born == (date(1960, 1, 1), date(2018, 2, 3))
    assert (found.sex, found.deceased) == (None, None)


def test_a_newer_version_replaces_an_older_one() -> None:
    old = patient(gender="male", meta={"versionId": "1"})
    new = patient(gender="female", meta={"versionId": "2"})

    for sent in ([old, new], [new, old]):
        found = record(*sent)
        assert (found.patient.sex, is_contradictory(found)) == ("female", False)


def test_a_patient_among_the_orders_being_made_is_heard() -> None:
    given = replace(input_of(observation(), patient(gender="male")), patient_id="p1")
    drafts = input_of(patient(gender="female")).entries

    assert is_contradictory(read(replace(given, drafts=drafts)))


@pytest.mark.parametrize(
    ("sent", "contradictory"),
    [
        ([("1", "2"), ("2", "3"), ("3", "1")], False),  # each two have one in common, all have none
        ([("1", "2"), ("2", "3"), ("3", "4")], True),
        ([("1",), (), ("1",)], False),
    ],
)
def test_numbers_of_several_are_compared_two_by_two(
    sent: list[tuple[str, ...]], contradictory: bool
) -> None:
    found = record(*(patient(**number(*values)) for values in sent))

    assert is_contradictory(found) is contradictory
