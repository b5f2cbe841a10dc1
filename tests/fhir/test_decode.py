# SPDX-License-Identifier: Apache-2.0
"""Resources on the wire."""

import json

import pytest
from msgspec.json import Decoder

from cds_service.fhir.decode import read_loosely
from cds_service.fhir.elements import Coding, Meta, many
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.fhir.resources import Bundle, Observation, Resource, Unread
from cds_service.fhir.tags import PROPOSAL_CODE, PROPOSAL_SYSTEM, is_own_proposal

RESOURCE: Decoder[Resource] = Decoder(Resource)


@pytest.mark.parametrize("name", sorted(RESOURCE_TYPES - {"Bundle"}))
def test_every_resource_type_is_accepted(name: str) -> None:
    found = RESOURCE.decode(json.dumps({"unknown": [5], "resourceType": name}))

    assert type(found).__name__ == name


def test_a_type_that_is_not_read_is_passed_over_whatever_it_holds() -> None:
    found = RESOURCE.decode(b'{"code": 5, "status": [], "resourceType": "Slot"}')

    assert isinstance(found, Unread)


def test_elements_that_are_not_read_may_be_anything() -> None:
    made = {"category": {"text": "object"}, "performer": 5, "resourceType": "Observation"}

    assert isinstance(RESOURCE.decode(json.dumps(made)), Observation)


def test_an_object_is_read_as_an_array_of_one() -> None:
    found = RESOURCE.decode(b'{"resourceType": "Observation", "code": {"coding": {"code": "x"}}}')

    assert isinstance(found, Observation)
    assert found.code is not None
    assert [coding.code for coding in many(found.code.coding)] == ["x"]


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        (b"5", "$", "expected a FHIR resource"),
        (b'{"resourceType": "Patient", "gender": 5}', "$.gender", "expected a string or null"),
        (
            b'{"resourceType": "Patient", "deceasedBoolean": "true"}',
            "$.deceasedBoolean",
            "expected true or false or null",
        ),
        (b"{}", "$.resourceType", "expected, but missing"),
        (b'{"resourceType": "Bundle", "entry": 5}', "$.entry", "expected an array"),
    ],
)
def test_a_fault_names_its_place_and_what_was_expected(
    text: bytes, where: str, expected: str
) -> None:
    found, (fault,) = read_loosely(text, "$")

    assert (found, fault.where, fault.expected) == (None, where, expected)


@pytest.mark.parametrize("name", ["ProcedureRequest", "Observations", "observation", ""])
def test_a_type_that_r4_does_not_have_is_a_fault(name: str) -> None:
    found, (fault,) = read_loosely(json.dumps({"resourceType": name}).encode(), "$")

    assert (found, fault.where) == (None, "$.resourceType")


def test_a_bundle_keeps_its_links_and_its_good_entries() -> None:
    made = {
        "resourceType": "Bundle",
        "link": [{"relation": "next", "url": "x"}],
        "entry": [{"resource": {"resourceType": "Patient", "gender": 5}}, {"fullUrl": 7}, {}],
    }
    found, faults = read_loosely(json.dumps(made).encode(), "$")

    assert isinstance(found, Bundle)
    assert [link.url for link in many(found.link)] == ["x"]
    assert [fault.where for fault in faults] == [
        "$.entry[0].resource.gender",
        "$.entry[1].resource",
        "$.entry[2].resource",
    ]


def test_bundles_with_faults_are_opened_to_a_depth() -> None:
    made: dict[str, object] = {"resourceType": "Patient", "gender": 5}
    for _ in range(100):
        made = {"resourceType": "Bundle", "entry": [{"resource": made}]}

    _, faults = read_loosely(json.dumps(made).encode(), "$")

    assert len(faults) == 1


def test_our_own_proposals_are_known_again() -> None:
    tag = Coding(system=PROPOSAL_SYSTEM, code=PROPOSAL_CODE)

    assert is_own_proposal(Meta(tag=[tag]))
    assert not is_own_proposal(Meta(tag=[Coding(code=PROPOSAL_CODE)]))
    assert not is_own_proposal(None)
