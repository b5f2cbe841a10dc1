# SPDX-License-Identifier: Apache-2.0
"""A worked example of `tests/data/vignettes-liver*.json` as the hook request of an EHR."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from cds_service.trials.synthetic_request import birth_date

LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CONDITION_SYSTEMS = {
    "snomed": "http://snomed.info/sct",
    "icd10": "http://hl7.org/fhir/sid/icd-10-cm",
    "code": "https://hospital.example/conditions",  # a hospital's own codes
}
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
PATIENT = "vignette"
DAYS_A_MONTH = 30.4375
_TIMES = ("effective", "issued", "authoredOn", "recordedDate")
Json = dict[str, Any]


def now_of(vignette: Mapping[str, Any]) -> datetime:
    """The evaluation time of a worked example."""
    return datetime.fromisoformat(vignette["inputs"]["now"])


def hook_of(vignette: Mapping[str, Any]) -> str:
    """The hook that a worked example is asked by."""
    hook: str = vignette["inputs"].get("hook", "patient-view")
    return hook


def days_before(vignette: Mapping[str, Any], days: int) -> Json:
    """The same example so many days earlier, with every time in it."""
    return {**vignette, "inputs": _earlier(vignette["inputs"], days, "")}


def _earlier(value: Any, days: int, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _earlier(member, days, key) for key, member in value.items()}
    if isinstance(value, list):
        return [_earlier(item, days, name) for item in value]
    if name not in (*_TIMES, "now"):
        return value
    back = timedelta(days=days)
    if "T" not in value:
        return (date.fromisoformat(value) - back).isoformat()
    return (datetime.fromisoformat(value) - back).isoformat().replace("+00:00", "Z")


def request_of(vignette: Mapping[str, Any], patient: str = PATIENT) -> Json:
    """The request of the example's hook with full prefetch, about a patient with this id."""
    inputs = vignette["inputs"]
    now = now_of(vignette)
    conditions = [
        _condition(n, condition) for n, condition in enumerate(inputs.get("conditions", []))
    ]
    if inputs["patient"].get("pregnant"):
        conditions.append(_condition(len(conditions), {"snomed": "77386006"}))
    results = [_observation(n, result) for n, result in enumerate(inputs.get("observations", []))]
    results += [
        _resulted(n, result, now)
        for n, result in enumerate(inputs.get("resulted", []), len(results))
    ]
    prefetch: Json = {
        "patient": _patient(inputs["patient"], now, patient),
        "observations": _searchset(results),
        "conditions": _searchset(conditions),
        "medicationRequests": _searchset(
            [
                _medication(n, medication)
                for n, medication in enumerate(inputs.get("medications", []))
            ]
        ),
        "medicationStatements": _searchset([]),
        "serviceRequests": _searchset(
            [_order(n, order) for n, order in enumerate(inputs.get("orders", []))]
        ),
    }
    if "encounter" in inputs:
        prefetch["encounter"] = _encounter(inputs["encounter"])
    for resource in _resources(prefetch):
        if "subject" in resource:
            resource["subject"] = {"reference": f"Patient/{patient}"}
    return {
        "hook": hook_of(vignette),
        "hookInstance": "0c6b3c4e-7a56-4f0e-8f6b-0a6c4e1d0001",
        "fhirServer": "https://fhir.example/r4",
        "context": _context(vignette, patient),
        "prefetch": prefetch,
    }


def _resources(prefetch: Mapping[str, Json]) -> list[Json]:
    entries = [entry for value in prefetch.values() for entry in value.get("entry", [])]
    return [*prefetch.values(), *(entry["resource"] for entry in entries)]


def _context(vignette: Mapping[str, Any], patient: str) -> Json:
    """What the hook is called with: medicines being ordered are drafts, all of them selected."""
    context: Json = {"userId": "Practitioner/vignette", "patientId": patient}
    hook = hook_of(vignette)
    if hook == "encounter-discharge" or "encounter" in vignette["inputs"]:
        context["encounterId"] = "vignette-encounter"
    if hook in {"order-select", "order-sign"}:
        drafts = [
            {
                **_medication(n, {**order, "status": "draft"}),
                "id": f"draft-{n}",
                "subject": {"reference": f"Patient/{patient}"},
            }
            for n, order in enumerate(vignette["inputs"].get("ordering", []))
        ]
        context["draftOrders"] = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": draft} for draft in drafts],
        }
        if hook == "order-select":
            context["selections"] = [f"MedicationRequest/{draft['id']}" for draft in drafts]
    return context


def _searchset(resources: list[Json]) -> Json:
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**bundle, "entry": entries} if entries else bundle


def _patient(patient: Mapping[str, Any], now: datetime, name: str) -> Json:
    resource: Json = {"resourceType": "Patient", "id": name}
    if patient.get("sex") in {"male", "female"}:
        resource["gender"] = patient["sex"]
    months = patient.get("ageMonths", 12 * patient["ageYears"] if "ageYears" in patient else None)
    if months is not None:
        resource["birthDate"] = _birth_date(months, now.date()).isoformat()
    if patient.get("deceased"):
        resource["deceasedBoolean"] = True
    return resource


def _birth_date(months: float, today: date) -> date:
    if months == int(months):
        return birth_date(int(months), today)
    return today - timedelta(days=round(months * DAYS_A_MONTH))  # an infant's age, such as 1.5


def _observation(number: int, given: Mapping[str, Any]) -> Json:
    resource: Json = {
        "resourceType": "Observation",
        "id": f"observation-{number}",
        "status": given.get("status", "final"),
        "code": {"coding": [{"system": LOINC, "code": given["loinc"]}]},
        "subject": {},
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
        hemolyzed = {"system": f"{TERMINOLOGY}/v2-0493", "code": "HEM"}
        resource["contained"] = [
            {"resourceType": "Specimen", "id": "tube", "condition": [{"coding": [hemolyzed]}]}
        ]
        resource["specimen"] = {"reference": "#tube"}
    return resource


def _resulted(number: int, given: Mapping[str, Any], now: datetime) -> Json:
    """A test that was done, with a result that no rule reads."""
    when = now - timedelta(days=given["daysAgo"])
    told = {"loinc": given["loinc"], "valueString": "not detected", "effective": when.isoformat()}
    return _observation(number, told)


def _medication(number: int, given: Mapping[str, Any]) -> Json:
    concept: Json = {"text": given["name"]}
    if "rxcui" in given:
        concept = {"coding": [{"system": RXNORM, "code": given["rxcui"]}], **concept}
    return {
        "resourceType": "MedicationRequest",
        "id": f"medication-{number}",
        "status": given.get("status", "active"),
        "intent": "order",
        "medicationCodeableConcept": concept,
        "subject": {},
    }


def _condition(number: int, given: Mapping[str, Any]) -> Json:
    codings: list[Json] = [
        {"system": system, "code": given[name]}
        for name, system in CONDITION_SYSTEMS.items()
        if name in given
    ]
    if "display" in given:
        codings = [{**coding, "display": given["display"]} for coding in codings or [{}]]
    code: Json = {"coding": codings} if codings else {}
    if "text" in given:
        code["text"] = given["text"]
    resource: Json = {
        "resourceType": "Condition",
        "id": f"condition-{number}",
        "clinicalStatus": _status("condition-clinical", given.get("clinicalStatus", "active")),
        "code": code,
        "subject": {},
    }
    if "verificationStatus" in given:
        resource["verificationStatus"] = _status(
            "condition-ver-status", given["verificationStatus"]
        )
    for name in ("recordedDate", "onsetDateTime"):
        if name in given:
            resource[name] = given[name]
    return resource


def _status(system: str, code: str) -> Json:
    return {"coding": [{"system": f"{TERMINOLOGY}/{system}", "code": code}]}


def _order(number: int, given: Mapping[str, Any]) -> Json:
    resource: Json = {
        "resourceType": "ServiceRequest",
        "id": f"order-{number}",
        "status": given["status"],
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": given["loinc"]}]},
        "subject": {},
        "authoredOn": given["authoredOn"],
    }
    if "priority" in given:
        resource["priority"] = given["priority"]
    return resource


def _encounter(given: Mapping[str, Any]) -> Json:
    return {
        "resourceType": "Encounter",
        "id": "vignette-encounter",
        "status": "in-progress",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": given["class"]},
        "subject": {},
    }
