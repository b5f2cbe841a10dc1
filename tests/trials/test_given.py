# SPDX-License-Identifier: Apache-2.0
"""What a case gives becomes a hook request of a synthetic patient."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cds_service.knowledge.model.code_systems import ICD_10_CM, LOINC, RXNORM, SNOMED
from cds_service.labs.patient import completed_months
from cds_service.sourcefile.document import Data
from cds_service.trials.run import NOW
from cds_service.trials.synthetic_chart import GivenError
from cds_service.trials.synthetic_request import birth_date, request_of
from tests.knowledge.fixture_pack import letters

YESTERDAY = "2026-06-14T09:00:00+00:00"
CODES = "https://example.org/codes"


def request(hook: str = "patient-view", /, **given: Data) -> dict[str, Any]:
    words = {name.replace("_", "-"): value for name, value in given.items()}
    return request_of(words, letters(), NOW, hook)


def resources(key: str, /, **given: Data) -> list[dict[str, Any]]:
    bundle = request(**given)["prefetch"][key]
    found = [entry["resource"] for entry in bundle.get("entry", [])]
    assert bundle["total"] == len(found)
    return found


def observation(words: Data) -> dict[str, Any]:
    (found,) = resources("observations", alpha=words)
    return found


def test_without_words_everything_was_asked_for_and_is_empty() -> None:
    prefetch = request()["prefetch"]

    assert prefetch.pop("patient") == {"resourceType": "Patient", "id": "case"}
    assert {key: bundle.get("entry") for key, bundle in prefetch.items()} == {
        "observations": None,
        "medicationRequests": None,
        "medicationStatements": None,
        "conditions": None,
        "serviceRequests": None,
    }


def test_a_patient_has_age_sex_and_may_be_deceased() -> None:
    patient = request(age="50 years", sex="female", deceased="yes")["prefetch"]["patient"]

    assert (patient["birthDate"], patient["gender"]) == ("1976-06-01", "female")
    assert patient["deceasedBoolean"] is True
    assert "birthDate" not in request(age="not known")["prefetch"]["patient"]
    assert request(deceased="no")["prefetch"]["patient"]["deceasedBoolean"] is False


@pytest.mark.parametrize("months", [0, 1, 5, 6, 11, 12, 216, 1200])
def test_a_birth_date_completes_that_many_months_today(months: int) -> None:
    for today in (date(2026, 6, 15), date(2026, 1, 31), date(2024, 2, 29)):
        assert completed_months(birth_date(months, today), today) == months


def test_a_result_has_the_code_unit_and_time_of_the_case() -> None:
    assert observation("7 U/L") == {
        "resourceType": "Observation",
        "id": "result-0",
        "status": "final",
        "code": {"coding": [{"system": CODES, "code": "A1"}]},
        "subject": {"reference": "Patient/case"},
        "effectiveDateTime": YESTERDAY,
        "valueQuantity": {"value": Decimal(7), "unit": "U/L"},
    }


@pytest.mark.parametrize(
    ("words", "quantity"),
    [
        ("7.10 kU/L", {"value": Decimal("7.10"), "unit": "kU/L"}),
        ("-7", {"value": Decimal(-7)}),
        ("7 without unit", {"value": Decimal(7)}),
        ("less than 7 U/L", {"value": Decimal(7), "unit": "U/L", "comparator": "<"}),
        ("at most 7 U/L", {"value": Decimal(7), "unit": "U/L", "comparator": "<="}),
        ("more than 7 U/L", {"value": Decimal(7), "unit": "U/L", "comparator": ">"}),
        ("at least 7 U/L", {"value": Decimal(7), "unit": "U/L", "comparator": ">="}),
    ],
)
def test_a_value_is_sent_as_it_is_written(words: str, quantity: dict[str, Any]) -> None:
    assert observation(words)["valueQuantity"] == quantity


@pytest.mark.parametrize(
    ("words", "time"),
    [
        ("7 U/L, 3 days ago", "2026-06-12T09:00:00+00:00"),
        ("7 U/L, 1 hour ago", "2026-06-15T08:00:00+00:00"),
        ("7 U/L, 90 minutes ago", "2026-06-15T07:30:00+00:00"),
        ("7 U/L, in 2 days", "2026-06-17T09:00:00+00:00"),
        ("7 U/L, 3 days ago, at the same time", YESTERDAY),
    ],
)
def test_a_result_may_be_of_another_time(words: str, time: str) -> None:
    assert observation(words)["effectiveDateTime"] == time


@pytest.mark.parametrize(
    ("words", "element", "value"),
    [
        ("7 U/L, preliminary", "status", "preliminary"),
        ("7 U/L, entered-in-error", "status", "entered-in-error"),
        ("7 U/L, by X", "code", {"coding": [{"system": CODES, "code": "A2"}]}),
        ("7 U/L, coded 1-8", "code", {"coding": [{"system": LOINC, "code": "1-8"}]}),
        ("7 U/L, named alfa", "code", {"text": "alfa"}),
        ('7 U/L, named "alfa, total", hemolysed', "code", {"text": "alfa, total"}),
        ("7 U/L, hemolysed", "note", [{"text": "specimen hemolyzed"}]),
        (
            "7 U/L, upper limit 40, lower limit 3",
            "referenceRange",
            [
                {
                    "high": {"value": Decimal(40), "unit": "U/L"},
                    "low": {"value": Decimal(3), "unit": "U/L"},
                }
            ],
        ),
        ("7 without unit, upper limit 40", "referenceRange", [{"high": {"value": Decimal(40)}}]),
    ],
)
def test_words_after_a_comma_change_the_result(words: str, element: str, value: object) -> None:
    assert observation(words)[element] == value


def test_several_results_are_a_list_or_joined_by_semicolons() -> None:
    listed = resources("observations", alpha=["7 U/L", "8 U/L, 2 days ago"])
    joined = resources("observations", alpha="7 U/L; 8 U/L, 2 days ago")

    assert listed == joined
    assert [resource["id"] for resource in listed] == ["result-0", "result-1"]
    assert resources("observations", alpha="never") == []


@pytest.mark.parametrize(
    ("reason", "quantities"),
    [
        ("unit-missing", [{"value": Decimal(1)}]),
        ("unit-unknown", [{"value": Decimal(1), "unit": "furlong"}]),
        ("unit-conflict", [{"value": 1, "unit": "U/L", "code": "kU/L"}]),
        ("implausible", [{"value": Decimal(501), "unit": "U/L"}]),
        (
            "conflicting-duplicates",
            [{"value": Decimal(1), "unit": "U/L"}, {"value": Decimal(2), "unit": "U/L"}],
        ),
    ],
)
def test_a_result_can_be_made_that_is_set_aside(
    reason: str, quantities: list[dict[str, Any]]
) -> None:
    found = resources("observations", alpha=f"set aside because {reason}")

    assert [resource["valueQuantity"] for resource in found] == quantities
    assert len({resource["id"] for resource in found}) == len(found)


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("gammazine", {"text": "gammazine"}),
        ("rxnorm 99999901", {"coding": [{"system": RXNORM, "code": "99999901"}]}),
    ],
)
def test_medicines_are_active_unless_stopped(text: str, concept: dict[str, Any]) -> None:
    active, stopped = resources("medicationRequests", medicines=[text, f"{text}, stopped"])

    assert (active["status"], active["medicationCodeableConcept"]) == ("active", concept)
    assert (stopped["status"], stopped["medicationCodeableConcept"]) == ("stopped", concept)
    assert active["id"] != stopped["id"]


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("delta", {"text": "delta"}),
        ("snomed 99990015", {"coding": [{"system": SNOMED, "code": "99990015"}]}),
        ("icd-10-cm U99.9", {"coding": [{"system": ICD_10_CM, "code": "U99.9"}]}),
    ],
)
def test_conditions_are_active_unless_resolved(text: str, concept: dict[str, Any]) -> None:
    active, resolved = resources("conditions", conditions=[text, f"{text}, resolved"])

    assert active["code"] == resolved["code"] == concept
    assert [resource["clinicalStatus"]["coding"][0]["code"] for resource in (active, resolved)] == [
        "active",
        "resolved",
    ]


def test_an_order_has_status_time_and_priority() -> None:
    plain, urgent, proposal = resources(
        "serviceRequests",
        orders=[
            "9999002-0 active",
            "9999002-0 on-hold 3 hours ago urgent",
            "9999002-0 active 2 days ago proposal",
        ],
    )

    assert (plain["status"], plain["intent"], plain["priority"]) == ("active", "order", "routine")
    assert plain["authoredOn"] == YESTERDAY
    assert plain["code"] == {"coding": [{"system": LOINC, "code": "9999002-0"}]}
    assert (urgent["status"], urgent["priority"]) == ("on-hold", "urgent")
    assert urgent["authoredOn"] == "2026-06-15T06:00:00+00:00"
    assert proposal["intent"] == "proposal"


def test_what_is_being_ordered_is_drafted_and_selected_where_orders_are_made() -> None:
    given: Data = ["repeat-alpha", "loinc 9999003-8", "gammazine"]

    context = request("order-select", ordering=given)["context"]
    drafts = [entry["resource"] for entry in context["draftOrders"]["entry"]]

    assert [draft["resourceType"] for draft in drafts] == [
        "ServiceRequest",
        "ServiceRequest",
        "MedicationRequest",
    ]
    assert {draft["status"] for draft in drafts} == {"draft"}
    assert [draft["code"]["coding"][0]["code"] for draft in drafts[:2]] == [
        "9999002-0",
        "9999003-8",
    ]
    assert context["selections"] == [
        "ServiceRequest/draft-0",
        "ServiceRequest/draft-1",
        "MedicationRequest/draft-2",
    ]
    assert "draftOrders" not in request(ordering=given)["context"]


def test_an_encounter_hook_has_an_encounter() -> None:
    assert request("encounter-start")["context"]["encounterId"] == "case"
    assert "encounterId" not in request()["context"]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"medicines": "not sent"}, {"medicationRequests", "medicationStatements"}),
        ({"conditions": "not sent"}, {"conditions"}),
        ({"orders": "not sent"}, {"serviceRequests"}),
        ({"on_gammazine": "not known"}, {"medicationRequests", "medicationStatements"}),
        ({"delta_disease": "not known"}, {"conditions"}),
        (
            {"any_risk": "not known"},
            {"medicationRequests", "medicationStatements", "conditions"},
        ),
        ({"any_risk": "no"}, set()),
    ],
)
def test_what_is_not_known_was_not_sent(given: dict[str, Data], missing: set[str]) -> None:
    assert request()["prefetch"].keys() - request(**given)["prefetch"].keys() == missing


def test_a_fact_is_made_true_by_what_it_is_made_of() -> None:
    (medicine,) = resources("medicationRequests", any_risk="yes")
    (condition,) = resources("conditions", delta_disease="yes")

    assert medicine["medicationCodeableConcept"] == {"text": "gammazine"}
    assert condition["code"]["coding"][0]["code"] == "99990015"


@pytest.mark.parametrize(
    "given",
    [
        {"gamma": "7 U/L"},
        {"alpha": {"value": "7"}},
        {"alpha": ""},
        {"alpha": "seven U/L"},
        {"alpha": "1e3 U/L"},
        {"alpha": "7 U/L 8"},
        {"alpha": "7 U/L, yesterday"},
        {"alpha": "7 U/L, by Y"},
        {"alpha": ["7 U/L", ["8 U/L"]]},
        {"alpha": "set aside because tired"},
        {"age": "old"},
        {"age": "50"},
        {"sex": "man"},
        {"deceased": "maybe"},
        {"on_gammazine": "often"},
        {"orders": ["9999002-0"]},
        {"orders": ["9999002-0 active yesterday"]},
        {"medicines": [["x"]]},
        {"medicines": "not sent", "on_gammazine": "yes"},
    ],
)
def test_words_without_a_meaning_are_refused(given: dict[str, Data]) -> None:
    with pytest.raises(GivenError):
        request(**given)


@pytest.mark.parametrize(
    ("text", "status", "day"),
    [
        ("delta, 1 day ago", "active", "2026-06-14"),
        ("delta, 40 days ago", "active", "2026-05-06"),
        ("delta, resolved, 2 days ago", "resolved", "2026-06-13"),
        ('snomed 7 named "delta, resolved", 1 day ago', "active", "2026-06-14"),
    ],
)
def test_a_condition_may_be_of_another_day(text: str, status: str, day: str) -> None:
    (found,) = resources("conditions", conditions=[text])

    assert found["clinicalStatus"]["coding"][0]["code"] == status
    assert found["recordedDate"].startswith(day)
    assert "ago" not in str(found["code"])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("conditions", "delta, 2 days ago, resolved"),
        ("conditions", "delta, 2 weeks ago"),
        ("conditions", "delta, resolved 2 days ago"),
        ("conditions", "delta, stopped"),
        ("medicines", "gammazine, 2 days ago"),
        ("medicines", "gammazine, resolved"),
    ],
)
def test_what_is_left_over_of_a_chart_line_is_refused(kind: str, text: str) -> None:
    with pytest.raises(GivenError, match="cannot read"):
        request_of({kind: [text]}, letters(), NOW, "patient-view")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("alpha", "7 U/L, 9999999 days ago"),
        ("alpha", "7 U/L, in 99999999999 days"),
        ("conditions", "delta, 9999999 days ago"),
        ("orders", "9999003-8 active 9999999 days ago"),
        ("resulted", "9999003-8 9999999 days ago"),
    ],
)
def test_no_day_is_so_far_that_there_is_none(subject: str, text: str) -> None:
    with pytest.raises(GivenError, match="too far"):
        request_of({subject: [text]}, letters(), NOW, "patient-view")
