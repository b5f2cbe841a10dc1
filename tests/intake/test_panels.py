# SPDX-License-Identifier: Apache-2.0
"""Results inside of panels and reports, and what these supply."""

import pytest

from cds_service.copying import replace
from cds_service.labs.patient_record import PatientRecord
from tests.intake.intake_fixtures import DAY, Json, input_of, observation, read

OURS: Json = {"reference": "Patient/p1"}
ANOTHER: Json = {"reference": "Patient/p2"}
EARLIER = observation(effectiveDateTime="2026-06-10T08:00:00Z")
TIMELESS = observation(id="r2", effectiveDateTime=None)


def record(*resources: Json) -> PatientRecord:
    return read(replace(input_of(*resources), patient_id="p1"))


def report(**other: object) -> Json:
    made: Json = {
        "resourceType": "DiagnosticReport",
        "id": "d",
        "status": "final",
        "subject": OURS,
        "effectiveDateTime": DAY,
        "result": [{"reference": "Observation/r2"}],
        **other,
    }
    return {name: value for name, value in made.items() if value is not None}


def panel(**other: object) -> Json:
    return observation(
        id="panel",
        code={"text": "panel"},
        valueQuantity=None,
        hasMember=[{"reference": "Observation/r2"}],
        **other,
    )


def used(found: PatientRecord) -> list[str]:
    return [result.reference for result in found.results]


def reasons(found: PatientRecord) -> dict[str, str]:
    return {result.reference: result.reason for result in found.set_aside}


@pytest.mark.parametrize("made", [report(), panel()])
def test_a_result_without_a_time_has_that_of_what_names_it(made: Json) -> None:
    assert used(record(EARLIER, TIMELESS, made)) == ["Observation/r1", "Observation/r2"]


@pytest.mark.parametrize(
    "made",
    [
        report(subject=ANOTHER),
        report(subject={"reference": "Patient?identifier=1"}),
        report(modifierExtension=[{"url": "https://example.org/not"}]),
        panel(subject=ANOTHER),
        panel(focus=[ANOTHER]),
        panel(modifierExtension=[{"url": "https://example.org/not"}]),
    ],
)
def test_the_time_of_what_is_not_the_patients_is_not_taken(made: Json) -> None:
    found = record(EARLIER, TIMELESS, made)

    assert used(found) == ["Observation/r1"]
    assert reasons(found)["Observation/r2"] == "no-time"


def test_a_report_that_names_nobody_supplies_nothing_beside_anothers() -> None:
    found = record(
        observation(), TIMELESS, report(subject=None), observation(id="x", subject=ANOTHER)
    )

    assert reasons(found) == {"Observation/r2": "no-time", "Observation/x": "other-patient"}


def test_a_result_that_names_nobody_is_not_used_beside_a_report_of_another() -> None:
    nobodys = observation(id="r2", subject=None)
    found = record(observation(), nobodys, report(subject=ANOTHER))

    assert reasons(found) == {"Observation/r2": "no-subject"}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("other", [{"subject": ANOTHER}, {"effectiveDateTime": None}])
def test_of_two_reports_the_one_that_can_tell_the_time_does(other: Json, turned: bool) -> None:
    reports = [report(id="a"), report(id="b", **other)]
    found = record(EARLIER, TIMELESS, *(reports[::-1] if turned else reports))

    assert used(found) == ["Observation/r1", "Observation/r2"]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (report(subject=ANOTHER, result=None), "other-patient"),
        (report(result=None, modifierExtension=[{"url": "x"}]), "modifier-extension"),
    ],
)
def test_what_is_contained_in_what_does_not_count_does_not_either(made: Json, reason: str) -> None:
    found = record(observation(), {**made, "contained": [observation(id="i")]})

    assert used(found) == ["Observation/r1"]
    assert reasons(found) == {"DiagnosticReport/d#i": reason}


def test_a_component_inside_another_is_read() -> None:
    inner = {"code": observation()["code"], "valueQuantity": observation()["valueQuantity"]}
    outer = {
        "code": {"text": "enzymes"},
        "component": [{"code": inner["code"], "component": inner}],
    }
    found = record(observation(code={"text": "panel"}, valueQuantity=None, component=[outer]))

    assert used(found) == ["Observation/r1"]
    assert all(result.reason == "code-not-in-pack" for result in found.set_aside)


def test_a_result_contained_in_a_contained_panel_is_read() -> None:
    inner = observation(id="i", subject=None)
    outer = observation(id="o", code={"text": "panel"}, valueQuantity=None, contained=inner)
    found = record(report(result=[{"reference": "#o"}], contained=[outer]))

    assert used(found) == ["DiagnosticReport/d#o#i"]


@pytest.mark.parametrize(
    ("member", "missing"), [("#i", False), ("#gone", True), ("Observation/r9", True), (None, True)]
)
def test_a_member_that_a_contained_panel_names_is_missed(member: str | None, missing: bool) -> None:
    outer = observation(
        id="o", code={"text": "panel"}, valueQuantity=None, hasMember=[{"reference": member}]
    )
    nameless = {**observation(), "id": None}
    made = report(result=[{"reference": "#o"}], contained=[outer, observation(id="i")])
    found = record(made, nameless)

    assert (["named but not sent"] if missing else []) == [gap.lack for gap in found.incomplete]
