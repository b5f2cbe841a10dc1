# SPDX-License-Identifier: Apache-2.0
"""A patient's chart in few words, as the resources and the hook request of an EHR."""

from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
PATIENT = "p1"
SUBJECT = {"reference": f"Patient/{PATIENT}"}


def searchset(resources: list[Json]) -> Json:
    """The resources as an answer to a FHIR search."""
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**bundle, "entry": entries} if entries else bundle


def moment(now: datetime, days: float) -> str:
    """The time so many days before now, to the second."""
    return (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def patient(given: Json, now: datetime) -> Json:
    """The Patient: `sex`, `months` of age, `deceased`; what is not given is not sent."""
    resource: Json = {"resourceType": "Patient", "id": PATIENT}
    if given.get("sex"):
        resource["gender"] = given["sex"]
    if given.get("months") is not None:
        years, month = divmod(now.year * 12 + now.month - 1 - given["months"], 12)
        resource["birthDate"] = f"{years:04}-{month + 1:02}-01"
    if given.get("deceased"):
        resource["deceasedBoolean"] = True
    return resource


def observation(number: int, given: Json) -> Json:
    """The Observation of a result in the words of the worked examples, with a few more."""
    code: Json = {}
    if given.get("loinc"):
        code["coding"] = [{"system": LOINC, "code": given["loinc"]}]
    if given.get("text"):
        code["text"] = given["text"]
    resource: Json = {
        "resourceType": "Observation",
        "id": f"observation-{number}",
        "status": given.get("status", "final"),
        "code": code,
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
            quantity |= {"system": UCUM, "code": given["ucum"]}
        if "comparator" in given:
            quantity["comparator"] = given["comparator"]
        resource["valueQuantity"] = quantity
    ends = {
        end: {"value": given[end]} | ({"unit": given["unit"]} if given.get("unit") else {})
        for end in ("low", "high")
        if given.get(end) is not None
    }
    if ends:
        resource["referenceRange"] = [ends]
    if given.get("hemolyzed"):
        hemolysed = {"system": "http://terminology.hl7.org/CodeSystem/v2-0493", "code": "HEM"}
        condition = [{"coding": [hemolysed]}]
        resource["contained"] = [{"resourceType": "Specimen", "id": "tube", "condition": condition}]
        resource["specimen"] = {"reference": "#tube"}
    return resource


def medication(number: int, given: Json) -> Json:
    """A MedicationRequest by RxNorm code, by name, or by both."""
    concept: Json = {"text": given["name"]}
    if given.get("rxcui"):
        concept["coding"] = [{"system": RXNORM, "code": given["rxcui"]}]
    return {
        "resourceType": "MedicationRequest",
        "id": f"medication-{number}",
        "status": given.get("status", "active"),
        "intent": "order",
        "medicationCodeableConcept": concept,
        "subject": SUBJECT,
    }


def statement(number: int, given: Json) -> Json:
    """The same medicine as a MedicationStatement."""
    resource = medication(number, given)
    del resource["intent"]
    return resource | {"resourceType": "MedicationStatement", "id": f"statement-{number}"}


def condition(number: int, given: Json) -> Json:
    """A Condition by code or, without one, by name alone."""
    code: Json = {}
    if given.get("code"):
        code["coding"] = [{"system": given["system"], "code": given["code"]}]
    if given.get("text"):
        code["text"] = given["text"]
    status = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {
        "resourceType": "Condition",
        "id": f"condition-{number}",
        "clinicalStatus": {"coding": [{"system": status, "code": given.get("status", "active")}]},
        "code": code,
        "subject": SUBJECT,
    }


def order(number: int, given: Json) -> Json:
    """A ServiceRequest for a laboratory test."""
    return {
        "resourceType": "ServiceRequest",
        "id": f"order-{number}",
        "status": given["status"],
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": given["loinc"]}]},
        "subject": SUBJECT,
        "authoredOn": given["authoredOn"],
    }


def request(chart: Json, hook: str, instance: str, now: datetime) -> Json:
    """The request of a hook with everything of the chart prefetched."""
    context: Json = {"userId": "Practitioner/d1", "patientId": PATIENT, "encounterId": "e1"}
    drafts = [medication(900 + n, item) for n, item in enumerate(chart["choosing"])]
    drafts += [order(900 + n, item) for n, item in enumerate(chart["drafting"])]
    if hook in {"order-select", "order-sign"}:
        context["draftOrders"] = searchset([draft | {"status": "draft"} for draft in drafts])
    if hook == "order-select":
        context["selections"] = [f"{draft['resourceType']}/{draft['id']}" for draft in drafts]
    numbered = {
        "observations": [observation(n, item) for n, item in enumerate(chart["results"])],
        "conditions": [condition(n, item) for n, item in enumerate(chart["conditions"])],
        "medicationRequests": [medication(n, item) for n, item in enumerate(chart["medicines"])],
        "medicationStatements": [statement(n, item) for n, item in enumerate(chart["statements"])],
        "serviceRequests": [order(n, item) for n, item in enumerate(chart["orders"])],
    }
    prefetch: Json = {"patient": patient(chart["patient"], now)}
    prefetch |= {key: searchset(resources) for key, resources in numbered.items()}
    return {
        "hook": hook,
        "hookInstance": instance,
        "fhirServer": "https://fhir.example/r4",
        "context": context,
        "prefetch": {key: value for key, value in prefetch.items() if key not in chart["unsent"]},
    }
