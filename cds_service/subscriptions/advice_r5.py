# SPDX-License-Identifier: Apache-2.0
"""The resources of advice as FHIR R5 has them.

R5 has one element for a concept or a reference where R4 had two, and renamed some.
"""

from collections.abc import Mapping
from typing import Any, Final

from cds_service.subscriptions.advice_parts import Json

# Elements that became one list of concepts and references.
_REASONS: Final = ("reasonCode", "reasonReference")


def as_r5(resource: Json) -> Json:
    """The same resource in R5."""
    made = {name: value for name, value in resource.items() if name not in _REASONS}
    reason = [
        {"concept" if name == "reasonCode" else "reference": entry}
        for name in _REASONS
        for entry in _many(resource.get(name))
    ]
    if reason:
        made["reason"] = reason
    if "contained" in made:
        made["contained"] = [as_r5(contained) for contained in made["contained"]]
    match made["resourceType"]:
        case "ServiceRequest":
            made["code"] = {"concept": made["code"]}
            if "patientInstruction" in made:
                made["patientInstruction"] = [{"instructionMarkdown": made["patientInstruction"]}]
        case "DetectedIssue":
            made["subject"] = made.pop("patient")
        case "Communication":
            made["payload"] = [
                {"contentCodeableConcept": {"text": payload["contentString"]}}
                for payload in made["payload"]
            ]
        case "Device":
            made["name"] = [
                {"value": device_name["name"], "type": device_name["type"]}
                for device_name in made.pop("deviceName")
            ]
    return made


def _many(value: Any) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
