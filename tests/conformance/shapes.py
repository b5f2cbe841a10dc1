# SPDX-License-Identifier: Apache-2.0
"""Calls in the shapes of clients that people use: invented patients, real oddities.

The public CDS Hooks Sandbox and Epic are not here; what they send is (conformance.md, section 6).
"""

from typing import Any

from tests.web.http_fixtures import ALT, PATIENT, Json, observation, patient

BASE = "https://ehr.example/interconnect-instance-oauth/api/FHIR/R4"
LONG_ID = "e" + "x.Y-9" * 18 + "3"  # 92 characters; FHIR allows 64
ORDER_SELECT = "/cds-services/liver-order-select"
ORDER_SIGN = "/cds-services/liver-order-sign"


def sandbox_view(**prefetch: Any) -> Json:
    """Patient-view: no encounter, and keys that could not be fetched are simply not there."""
    body: Json = {
        "hookInstance": "1c8b3f70-6d1c-4ca2-9d4c-6f1e0d1b6a11",
        "hook": "patient-view",
        "fhirServer": "https://launch.smarthealthit.org/v/r4/fhir",
        "context": {"patientId": PATIENT, "userId": "Practitioner/COREPRACTITIONER1"},
    }
    return {**body, "prefetch": prefetch} if prefetch else body


def sandbox_select(**prefetch: Any) -> Json:
    """Order-select: the Bundle has no type, and the category is an object."""
    body = sandbox_view(**prefetch)
    draft = {
        "resourceType": "MedicationRequest",
        "id": "request-123",
        "status": "draft",
        "intent": "order",
        "category": {"coding": [{"code": "outpatient"}]},
        "medicationCodeableConcept": {
            "text": "isoniazid 300 MG Oral Tablet",
            "coding": [
                {
                    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                    "code": "6038",
                    "display": "isoniazid",
                }
            ],
        },
        "subject": {"reference": f"Patient/{PATIENT}"},
        "dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": 1}}]}],
    }
    context = {
        **body["context"],
        "selections": ["MedicationRequest/request-123"],
        "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": draft}]},
    }
    return {**body, "hook": "order-select", "context": context}


def epic_page(*resources: Json) -> Json:
    """A search as Epic answers it: absolute addresses, links in entries, a total."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(resources),
        "link": [{"relation": "self", "url": f"{BASE}/x?patient={LONG_ID}"}],
        "entry": [
            {
                "link": [
                    {
                        "relation": "self",
                        "url": f"{BASE}/{resource['resourceType']}/{resource['id']}",
                    }
                ],
                "fullUrl": f"{BASE}/{resource['resourceType']}/{resource['id']}",
                "resource": resource,
                "search": {"mode": "match"},
            }
            for resource in resources
        ],
    }


def epic_nothing() -> Json:
    """A search without results: a warning takes the place of an entry."""
    issue = {
        "severity": "warning",
        "code": "processing",
        "details": {"coding": [{"code": "4101"}], "text": "Resource request returns no results."},
    }
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    entry = {"resource": outcome, "search": {"mode": "outcome"}}
    return {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": [entry]}


def epic_result(value: float = 1, **more: Any) -> Json:
    """A result about the patient by an absolute reference."""
    return observation(
        ALT,
        value,
        id=LONG_ID + "o",
        subject={"reference": f"{BASE}/Patient/{LONG_ID}", "display": "ZZTESTNAME"},
        category={"coding": [{"code": "laboratory"}]},
        **more,
    )


def epic_view(**prefetch: Any) -> Json:
    """Patient-view with everything Epic adds: long ids, version 1 UUID, extensions, long scope."""
    return {
        "hookInstance": "f399c67c-c703-11ea-af16-460231621f93",
        "fhirServer": BASE,
        "hook": "patient-view",
        "fhirAuthorization": {
            "access_token": "ZZCANARYTOKEN",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "Observation.Read (Labs) (R4) PATIENT.READ urn:Epic-com:Core.2016.X condition",
            "subject": "aeac3da7-6481-45af-ad41-42e5e701141d",
        },
        "context": {"patientId": LONG_ID, "userId": f"PractitionerRole/{LONG_ID}"},
        "prefetch": {
            "-user": {"resourceType": "PractitionerRole", "id": LONG_ID, "code": "odd"},
            "patient": {**patient(), "id": LONG_ID},
            **prefetch,
        },
        "extension": {
            "com.epic.cdshooks.request.bpa-trigger-action": "60",
            "com.epic.cdshooks.request.cds-hooks-specification-version": "1.0",
            "com.epic.cdshooks.request.fhir-version": "R4",
            "internal.epic.cdshooks.request.epic-emp-id": "17805",
        },
    }


def epic_sign(**prefetch: Any) -> Json:
    """Order-sign with a Medication among the orders and a ProcedureRequest of another version."""
    body = epic_view(**prefetch)
    medication = {"resourceType": "Medication", "id": LONG_ID + "m", "code": {"text": "Isoniazid"}}
    request = {
        "resourceType": "MedicationRequest",
        "id": LONG_ID + "r",
        "status": "active",
        "intent": "order",
        "category": {"text": "Inpatient"},
        "medicationReference": {"reference": f"{BASE}/Medication/{LONG_ID}m"},
        "subject": {"reference": f"{BASE}/Patient/{LONG_ID}"},
    }
    older = {"resourceType": "ProcedureRequest", "id": "p", "code": {"text": "x"}}
    drafts = epic_page(request, medication, older)
    return {**body, "hook": "order-sign", "context": {**body["context"], "draftOrders": drafts}}
