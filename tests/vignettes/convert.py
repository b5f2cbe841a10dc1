# SPDX-License-Identifier: Apache-2.0
"""A worked example of `tests/data/vignettes-liver.json` as the hook request of an EHR."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cds_service.trials.synthetic_request import birth_date

LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"
SUBJECT = {"reference": "Patient/vignette"}
Json = dict[str, Any]


def now_of(vignette: Mapping[str, Any]) -> datetime:
    """The evaluation time of a worked example."""
    return datetime.fromisoformat(vignette["inputs"]["now"])


def request_of(vignette: Mapping[str, Any]) -> Json:
    """The patient-view request with full prefetch."""
    inputs = vignette["inputs"]
    conditions = [_condition(n, one) for n, one in enumerate(inputs.get("conditions", []))]
    if inputs["patient"].get("pregnant"):
        conditions.append(_condition(len(conditions), {"snomed": "77386006"}))
    return {
        "hook": "patient-view",
        "hookInstance": "0c6b3c4e-7a56-4f0e-8f6b-0a6c4e1d0001",
        "fhirServer": "https://fhir.example/r4",
        "context": {"userId": "Practitioner/vignette", "patientId": "vignette"},
        "prefetch": {
            "patient": _patient(inputs["patient"], now_of(vignette)),
            "observations": _searchset(
                [_observation(n, one) for n, one in enumerate(inputs.get("observations", []))]
            ),
            "conditions": _searchset(conditions),
            "medicationRequests": _searchset(
                [_medication(n, one) for n, one in enumerate(inputs.get("medications", []))]
            ),
            "medicationStatements": _searchset([]),
            "serviceRequests": _searchset(
                [_order(n, one) for n, one in enumerate(inputs.get("orders", []))]
            ),
        },
    }


def _searchset(resources: list[Json]) -> Json:
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**bundle, "entry": entries} if entries else bundle


def _patient(patient: Mapping[str, Any], now: datetime) -> Json:
    resource: Json = {"resourceType": "Patient", "id": "vignette"}
    if patient.get("sex") in {"male", "female"}:
        resource["gender"] = patient["sex"]
    months = patient.get("ageMonths", 12 * patient["ageYears"] if "ageYears" in patient else None)
    if months is not None:
        resource["birthDate"] = birth_date(months, now.date()).isoformat()
    if patient.get("deceased"):
        resource["deceasedBoolean"] = True
    return resource


def _observation(number: int, given: Mapping[str, Any]) -> Json:
    resource: Json = {
        "resourceType": "Observation",
        "id": f"observation-{number}",
        "status": given.get("status", "final"),
        "code": {"coding": [{"system": LOINC, "code": given["loinc"]}]},
        "subject": SUBJECT,
        "effectiveDateTime": given["effective"],
    }
    if "issued" in given:
        resource["issued"] = given["issued"]
    if "valueString" in given:
        resource["valueString"] = given["valueString"]
    if "value" in given:
        quantity: Json = {"value": given["value"]}
        if given.get("unit"):
            quantity["unit"] = given["unit"]
        if "ucum" in given:
            quantity |= {"system": "http://unitsofmeasure.org", "code": given["ucum"]}
        if "comparator" in given:
            quantity["comparator"] = given["comparator"]
        resource["valueQuantity"] = quantity
    ends = {
        end: {"value": given[end]} | ({"unit": given["unit"]} if given.get("unit") else {})
        for end in ("low", "high")
        if end in given
    }
    if ends:
        resource["referenceRange"] = [ends]
    if given.get("hemolyzed"):
        resource["contained"] = [
            {
                "resourceType": "Specimen",
                "id": "tube",
                "condition": [
                    {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/v2-0493",
                                "code": "HEM",
                            }
                        ]
                    }
                ],
            }
        ]
        resource["specimen"] = {"reference": "#tube"}
    return resource


def _medication(number: int, given: Mapping[str, Any]) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": f"medication-{number}",
        "status": given.get("status", "active"),
        "intent": "order",
        "medicationCodeableConcept": {
            "coding": [{"system": RXNORM, "code": given["rxcui"]}],
            "text": given["name"],
        },
        "subject": SUBJECT,
    }


def _condition(number: int, given: Mapping[str, Any]) -> Json:
    code: Json = {"coding": [{"system": SNOMED, "code": given["snomed"]}]}
    if "text" in given:
        code["text"] = given["text"]
    status = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {
        "resourceType": "Condition",
        "id": f"condition-{number}",
        "clinicalStatus": {"coding": [{"system": status, "code": "active"}]},
        "code": code,
        "subject": SUBJECT,
    }


def _order(number: int, given: Mapping[str, Any]) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": f"order-{number}",
        "status": given["status"],
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": given["loinc"]}]},
        "subject": SUBJECT,
        "authoredOn": given["authoredOn"],
    }
