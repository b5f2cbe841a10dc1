# SPDX-License-Identifier: Apache-2.0
"""The resource that carries advice: a Task, or what a site looks at instead.

What was written is a proposal of a machine, and says so by its status, as far as its type can: a
DetectedIssue is preliminary, a Communication is in progress. Somebody who acts on it gives
it another one, and it is left alone from then on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final, TypeAlias

from cds_service.fhir.tags import PROPOSAL_TAG
from cds_service.fhir_client.servers import AdviceResource
from cds_service.knowledge.model.pack import Indicator, Priority
from cds_service.subscriptions.advice_parts import Json, kept

_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition"
_PRIORITIES: Final[Mapping[Indicator, Priority]] = {
    "info": "routine",
    "warning": "urgent",
    "critical": "stat",
}
_SEVERITIES: Final[Mapping[Indicator, str]] = {
    "info": "low",
    "warning": "moderate",
    "critical": "high",
}
_FLAG_PRIORITIES: Final[Mapping[Indicator, str]] = {"info": "PL", "warning": "PM", "critical": "PH"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceContent:
    """What is to be seen: `code` is that of the rule, `refers` to its guidance and its orders.

    `proposed` are those orders, each with the words by which the card offers it; `period` is when
    they are to be done.
    """

    identifier: Json
    indicator: Indicator
    code: Json
    summary: str = field(repr=False)
    detail: str = field(repr=False)
    patient: Json = field(repr=False)
    focus: Json | None = field(repr=False)
    owner: Json | None
    now: str
    guidance: Json
    proposed: Sequence[tuple[str, Json]] = ()
    period: Json | None = None

    @property
    def refers(self) -> list[Json]:
        """References to the guidance and to the orders."""
        return [self.guidance, *(order for _, order in self.proposed)]


_Made: TypeAlias = Callable[[AdviceContent], Json]


def advice_resource(kind: AdviceResource, content: AdviceContent) -> Json:
    """The resource of this type, as FHIR R4 has it."""
    return _MADE[kind](content)


def _task(content: AdviceContent) -> Json:
    proposed = [
        {"type": {"text": label}, "valueReference": order} for label, order in content.proposed
    ]
    return kept(
        resourceType="Task",
        meta={"tag": [PROPOSAL_TAG]},
        identifier=[content.identifier],
        status=OPEN["Task"],
        intent="proposal",
        priority=_PRIORITIES[content.indicator],
        description=content.summary,
        focus=content.focus,
        authoredOn=content.now,
        lastModified=content.now,
        owner=content.owner,
        reasonCode=content.code,
        reasonReference=content.focus,
        note=[{"text": content.detail}],
        restriction=content.period and {"period": content.period},
        input=[*proposed, {"type": {"text": "Guidance"}, "valueReference": content.guidance}],
        **{"for": content.patient},
    )


def _detected_issue(content: AdviceContent) -> Json:
    return kept(
        resourceType="DetectedIssue",
        meta={"tag": [PROPOSAL_TAG]},
        identifier=[content.identifier],
        status=OPEN["DetectedIssue"],
        code=content.code,
        severity=_SEVERITIES[content.indicator],
        patient=content.patient,
        identifiedDateTime=content.now,
        implicated=_listed(content.focus),
        evidence=[{"detail": content.refers}],
        detail=content.detail,
    )


def _flag(content: AdviceContent) -> Json:
    """A Flag has no element for a longer text, nor for what it is about."""
    summary, detail = escape(content.summary), escape(content.detail)
    narrative = (
        f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{summary}</p><pre>{detail}</pre></div>'
    )
    priority = {"system": "http://hl7.org/fhir/flag-priority-code"}
    priority["code"] = _FLAG_PRIORITIES[content.indicator]
    about = [
        {"url": f"{_EXTENSION}/flag-detail", "valueReference": reference}
        for reference in (*_listed(content.focus), *content.refers)
    ]
    return kept(
        resourceType="Flag",
        meta={"tag": [PROPOSAL_TAG]},
        text={"status": "generated", "div": narrative},
        extension=[
            {
                "url": f"{_EXTENSION}/flag-priority",
                "valueCodeableConcept": {"coding": [priority]},
            },
            *about,
        ],
        identifier=[content.identifier],
        status=OPEN["Flag"],
        category=[{"coding": [{"system": f"{_TERMINOLOGY}/flag-category", "code": "lab"}]}],
        code=content.code,
        subject=content.patient,
        period={"start": content.now},
    )


def _communication(content: AdviceContent) -> Json:
    alert = {"system": f"{_TERMINOLOGY}/communication-category", "code": "alert"}
    return kept(
        resourceType="Communication",
        meta={"tag": [PROPOSAL_TAG]},
        identifier=[content.identifier],
        status=OPEN["Communication"],
        category=[{"coding": [alert]}],
        priority=_PRIORITIES[content.indicator],
        subject=content.patient,
        topic=content.code,
        about=[*_listed(content.focus), *content.refers],
        sent=content.now,
        recipient=_listed(content.owner),
        reasonReference=_listed(content.focus),
        payload=[{"contentString": content.summary}, {"contentString": content.detail}],
    )


def _listed(reference: Json | None) -> list[Json]:
    return [] if reference is None else [reference]


_MADE: Final[Mapping[AdviceResource, _Made]] = {
    "Task": _task,
    "DetectedIssue": _detected_issue,
    "Flag": _flag,
    "Communication": _communication,
}
# The status with which each is written.
OPEN: Final[Mapping[str, str]] = {
    "Task": "requested",
    "DetectedIssue": "preliminary",
    "Flag": "active",
    "Communication": "in-progress",
}
# The statuses of one that somebody will do nothing about.
REFUSALS: Final[Mapping[str, frozenset[str]]] = {
    "Task": frozenset(("cancelled", "rejected", "failed", "entered-in-error")),
    "DetectedIssue": frozenset(("cancelled", "entered-in-error")),
    "Flag": frozenset(("entered-in-error",)),
    "Communication": frozenset(("not-done", "stopped", "entered-in-error")),
}
# The status of one that we withdraw.
_WITHDRAWN: Final[Mapping[str, str]] = {
    "Task": "cancelled",
    "DetectedIssue": "cancelled",
    "Flag": "inactive",
    "Communication": "stopped",
    "ServiceRequest": "revoked",
}


def withdrawn_as(resource: Json, reason: Json, now: str, *, r5: bool) -> Json:
    """The resource withdrawn, with the reason where its type has a place for it, else as a tag."""
    kind = resource["resourceType"]
    ended: dict[str, Any] = {**resource, "status": _WITHDRAWN[kind]}
    if kind == "Task":
        ended |= {"statusReason": {"concept": reason} if r5 else reason, "lastModified": now}
    elif kind == "Communication":
        ended["statusReason"] = reason
    elif kind != "ServiceRequest":
        meta = resource.get("meta") or {}
        tags = [*meta.get("tag", []), *reason["coding"]]
        ended["meta"] = {**meta, "tag": tags}
    if kind == "Flag":
        ended["period"] = {**(resource.get("period") or {}), "end": now}
    if kind == "DetectedIssue" and r5:
        ended["status"] = "entered-in-error"  # R5 knows no other end
    return ended


def reasons_in(resource: Json) -> list[Json]:
    """The codings that say why a resource was withdrawn, among others."""
    reason = resource.get("statusReason")
    reason = reason.get("concept", reason) if isinstance(reason, dict) else {}
    codings = [*(reason.get("coding") or []), *((resource.get("meta") or {}).get("tag") or [])]
    return [coding for coding in codings if isinstance(coding, dict)]
