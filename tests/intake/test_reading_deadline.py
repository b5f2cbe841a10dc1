# SPDX-License-Identifier: Apache-2.0
"""Reading stops at the deadline, and what many parts refer to does not cost each of them more."""

from itertools import count

import pytest

from cds_service.clock import Deadline
from cds_service.errors import Busy
from cds_service.fhir import resources
from cds_service.intake import panels, resource_index
from tests.intake.intake_fixtures import Json, coded, input_of, observation, quantity, read

MANY = 30


def results() -> list[Json]:
    """Results that share one specimen."""
    shared = {"reference": "Specimen/s"}
    return [
        {"resourceType": "Specimen", "id": "s", "type": {"text": "serum"}},
        *(observation(id=f"o{place}", specimen=shared) for place in range(MANY)),
    ]


def components() -> list[Json]:
    part = {"code": coded("1742-6"), "valueQuantity": quantity(30)}
    return [observation(valueQuantity=None, component=[part] * MANY)]


def chart(kind: str, **other: object) -> list[Json]:
    made = {"resourceType": kind, "status": "active", "intent": "order", **other}
    return [{**made, "id": f"c{place}"} for place in range(MANY)]


@pytest.mark.parametrize(
    "sent",
    [
        results(),
        components(),
        chart("MedicationRequest", medicationCodeableConcept={"text": "isoniazid"}),
        chart("MedicationStatement", medicationCodeableConcept={"text": "isoniazid"}),
        chart("Condition", code={"text": "cirrhosis"}),
        chart("ServiceRequest", code=coded("1742-6")),
    ],
)
@pytest.mark.parametrize("looks", [1, MANY // 2, MANY - 1])
def test_reading_stops_at_the_deadline(sent: list[Json], looks: int) -> None:
    given = input_of(*sent)
    read(given)
    passed = count()

    with pytest.raises(Busy):
        read(given, deadline=Deadline(looks / 1000, elapsed=lambda: next(passed)))

    assert next(passed) == looks + 1  # it looked once for each, and not again


def ingredients() -> list[Json]:
    inside = [{"resourceType": "Medication", "id": f"i{place}"} for place in range(MANY)]
    named = [{"itemReference": {"reference": f"#i{place}"}} for place in range(MANY)]
    product: Json = {
        "resourceType": "Medication",
        "id": "x",
        "ingredient": named,
        "contained": inside,
    }
    order: Json = {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
    return [{**order, "medicationReference": {"reference": "Medication/x"}}, product]


def parts() -> list[Json]:
    part = {"code": coded("1742-6"), "valueQuantity": quantity(30)}
    inside = [{"resourceType": "Specimen", "id": f"s{place}"} for place in range(MANY)]
    pointer = {"reference": f"#s{MANY - 1}"}
    return [observation(component=[part] * MANY, contained=inside, specimen=pointer)]


def members() -> list[Json]:
    inside = [observation(id=f"i{place}") for place in range(MANY)]
    named = [{"reference": f"#i{place}"} for place in range(MANY)]
    return [{"resourceType": "DiagnosticReport", "result": named, "contained": inside}]


@pytest.mark.parametrize("sent", [ingredients(), parts(), members()])
def test_what_is_contained_is_listed_as_often_however_many_refer_to_it(
    sent: list[Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, listed = input_of(*sent), count()

    def inside(contained: list[resources.Resource] | resources.Resource | None) -> object:
        if contained is not None:
            next(listed)
        return resources.inside(contained)

    for module in (panels, resource_index):
        monkeypatch.setattr(module, "inside", inside)
    read(given)

    assert next(listed) <= 4
