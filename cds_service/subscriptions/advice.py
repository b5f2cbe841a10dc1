# SPDX-License-Identifier: Apache-2.0
"""Cards -> the resources that say the same on a FHIR server, as entries of one transaction.

Each card becomes a Task for those who look after the patient, with the orders that it proposes, a
GuidanceResponse that says how complete the data were, and a Provenance. Nothing is sent here.

Every entry is a conditional create on an identifier that is derived from what the advice is about:
server, patient, rule, how severe it is, and the content of the result. The same advice has the
same identifiers, so that to send it again changes nothing. A Provenance has no identifier in FHIR
R4, and not every server finds a GuidanceResponse by its own; both are known by a tag.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid5

from msgspec.json import encode

from cds_service import __version__
from cds_service.decide import Outcome
from cds_service.fhir.tags import PROPOSAL_TAG
from cds_service.knowledge.model.leaves import FactIs
from cds_service.knowledge.model.pack import Indicator, Pack, Priority
from cds_service.labs.patient_record import IncompletePart, LabResult
from cds_service.memory.subjects import named_result
from cds_service.render.card import Card
from cds_service.rules.answer import Decision

Json: TypeAlias = dict[str, Any]

ADVICE_SYSTEM: Final = "https://cds-service.example/advice"
_NAMESPACE: Final = UUID("3c0c9a3e-86a5-5d3c-9a39-0b8d9c1f7b52")
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_PRIORITIES: Final[Mapping[Indicator, Priority]] = {
    "info": "routine",
    "warning": "urgent",
    "critical": "stat",
}
# Of which type the data are that did not come whole.
_TYPES: Final[Mapping[IncompletePart, tuple[str, ...]]] = {
    "laboratory results": ("Observation",),
    "medicines": ("MedicationRequest", "MedicationStatement"),
    "conditions": ("Condition",),
    "open orders": ("ServiceRequest",),
    "patient": ("Patient",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvicePlace:
    """Where advice is written: a server, by its base, a patient there, and who owns the Task.

    `zone` is that of the site, whose days count.
    """

    server: str
    patient: str
    zone: tzinfo
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One card, and the uuid that its identifiers are derived from."""

    id: UUID
    decision: Decision
    card: Card

    @property
    def identifier(self) -> str:
        """The value of the identifier of its Task."""
        return str(self.id)

    @property
    def result(self) -> str:
        """The reference of the result that it is about."""
        index = self.decision.frame.index_result
        return "" if index is None else reference_of(index)


def reference_of(result: LabResult) -> str:
    """The Observation of the server, which may have an id longer than FHIR allows.

    A contained result has no address of its own.
    """
    return result.reference.partition("#")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What advice is about: of which rule, how severe, and on which result."""

    pack: str
    rule: str
    indicator: Indicator
    preliminary: bool
    index: LabResult | None


def subject_of(decision: Decision, pack: Pack) -> Subject:
    """What the advice of a decision is about."""
    return Subject(
        pack=pack.id,
        rule=decision.rule.id,
        indicator=decision.indicator,
        preliminary=decision.preliminary,
        index=decision.frame.index_result,
    )


def advice_id(subject: Subject, place: AdvicePlace, again: int = 0) -> UUID:
    """The uuid of advice about this.

    A result that is stored again, unchanged, gives the same; a corrected one, or a more severe
    card on it, another. `again` counts how often the same advice was given and withdrawn.
    """
    about = (
        *(place.server, place.patient, subject.pack, subject.rule),
        *(subject.indicator, subject.preliminary, again),
        *(() if subject.index is None else named_result(subject.index)),
    )
    return uuid5(_NAMESPACE, encode(about).decode())


def transaction(entries: Iterator[Json]) -> Json:
    """The Bundle of these entries; each resource is proved to have the shape that FHIR R4 wants."""
    proved = []
    for entry in entries:
        _prove(entry["resource"])
        proved.append(entry)
    return {"resourceType": "Bundle", "type": "transaction", "entry": proved}


def entries_of(advice: Advice, outcome: Outcome, place: AdvicePlace) -> Iterator[Json]:
    """The entries of one card: what is referred to comes before what refers to it."""
    orders = list(_orders(advice))
    for order, _ in orders:
        yield _entry(order)
    yield _tagged(uuid5(advice.id, "guidance"), _guidance(advice, outcome, place, orders))
    yield _entry(_task(advice, outcome, place, orders))
    provenance = _provenance(advice, outcome, [order for order, _ in orders])
    yield _tagged(uuid5(advice.id, "provenance"), provenance)


def identifier_of(resource: Mapping[str, Any]) -> str:
    """The value of our identifier of a resource; empty if it has none."""
    found = resource.get("identifier")
    every = found if isinstance(found, list) else [found]  # a GuidanceResponse in R5, and others
    return next(
        (
            str(one.get("value", ""))
            for one in every
            if isinstance(one, dict) and one.get("system") == ADVICE_SYSTEM
        ),
        "",
    )


def _entry(resource: Json) -> Json:
    value = identifier_of(resource)
    return {
        "fullUrl": f"urn:uuid:{value}",
        "resource": resource,
        "request": {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"identifier={ADVICE_SYSTEM}|{value}",
        },
    }


def _tagged(identity: UUID, resource: Json) -> Json:
    """The entry of a resource that is known by a tag."""
    tags = [PROPOSAL_TAG, {"system": ADVICE_SYSTEM, "code": str(identity)}]
    return {
        "fullUrl": f"urn:uuid:{identity}",
        "resource": {**resource, "meta": {"tag": tags}},
        "request": {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"_tag={ADVICE_SYSTEM}|{identity}",
        },
    }


def _orders(advice: Advice) -> Iterator[tuple[Json, str]]:
    """The proposed orders, each with the words by which the card offers it."""
    for suggestion in advice.card.suggestions:
        for action in suggestion.actions:
            resource = dict(action.resource)
            code = resource["code"]["coding"][-1]  # type: ignore[index]  # the pack's own
            identity = uuid5(advice.id, f"{code['system']}|{code['code']}")
            kind = {"resourceType": resource.pop("resourceType"), "meta": resource.pop("meta")}
            yield {**kind, "identifier": [_identifier(identity)], **resource}, action.description


def _task(
    advice: Advice, outcome: Outcome, place: AdvicePlace, orders: list[tuple[Json, str]]
) -> Json:
    card, decision = advice.card, advice.decision
    now = _instant(outcome.now)
    topic = {"system": card.source.topic.system, "code": decision.rule.id}
    code = {"coding": [{**topic, "display": card.source.topic.display}], "text": card.summary}
    focus = {"reference": advice.result} if advice.result else None
    proposed = [
        {"type": {"text": label}, "valueReference": _reference_to(order)} for order, label in orders
    ]
    guidance = {"reference": f"urn:uuid:{uuid5(advice.id, 'guidance')}"}
    return _kept(
        resourceType="Task",
        meta={"tag": [PROPOSAL_TAG]},
        identifier=[_identifier(advice.id)],
        status="requested",
        intent="proposal",
        priority=_PRIORITIES[decision.indicator],
        description=card.summary,
        focus=focus,
        authoredOn=now,
        lastModified=now,
        owner={"reference": place.owner} if place.owner else None,
        reasonCode=code,
        reasonReference=focus,
        note=[{"text": card.detail}],
        restriction=_restriction(decision, outcome.now.astimezone(place.zone)),
        input=[*proposed, {"type": {"text": "Guidance"}, "valueReference": guidance}],
        **{"for": _patient(place)},
    )


def _restriction(decision: Decision, now: datetime) -> Json | None:
    """When the orders are to be done; without any there is no such time."""
    if not decision.orders:
        return None
    first = min(order.first_day for order in decision.orders)
    last = max(order.last_day for order in decision.orders)
    start, end = ((now.date() + timedelta(days=day)).isoformat() for day in (first, last))
    return {"period": {"start": start, "end": end}}


def _guidance(
    advice: Advice, outcome: Outcome, place: AdvicePlace, orders: list[tuple[Json, str]]
) -> Json:
    """`data-requested`: it was judged, and more data might have made the judgement surer."""
    rule, pack = advice.decision.rule, outcome.pack
    missing = [{"type": kind} for kind in sorted(_missing(advice.decision, outcome))]
    return _kept(
        resourceType="GuidanceResponse",
        contained=[_output(advice, pack, orders), _device(advice, pack)],
        requestIdentifier=_identifier(advice.id),
        identifier=[_identifier(uuid5(advice.id, "guidance"))],
        moduleUri=f"{pack.url}/rules/{rule.id}",
        status="data-requested" if missing else "success",
        subject=_patient(place),
        occurrenceDateTime=_instant(outcome.now),
        performer={"reference": "#device"},
        reasonReference=[{"reference": advice.result}] if advice.result else None,
        outputParameters={"reference": "#output"},
        dataRequirement=missing,
    )


def _missing(decision: Decision, outcome: Outcome) -> Iterator[str]:
    """The types of the data that were not known, each once."""
    pack, found = outcome.pack, set[str]()
    for lack in outcome.record.incomplete:
        found.update(_TYPES.get(lack.part, ()))
    for leaf in decision.unknown:
        if not isinstance(leaf, FactIs):
            found.add("Patient")
            continue
        fact = pack.facts[leaf.fact]
        if fact.medicines:
            found.update(_TYPES["medicines"])
        if fact.reads_conditions:
            found.update(_TYPES["conditions"])
    yield from found


def _output(advice: Advice, pack: Pack, orders: list[tuple[Json, str]]) -> Json:
    decision = advice.decision
    texts = {
        "pack": pack.id,
        "packVersion": pack.version,
        "rule": decision.rule.id,
        "ruleVersion": decision.rule.version,
        "indicator": decision.indicator,
        "summary": advice.card.summary,
    }
    parameters = [{"name": name, "valueString": text} for name, text in texts.items()]
    proposals = [{"name": "proposal", "valueReference": _reference_to(one)} for one, _ in orders]
    return {"resourceType": "Parameters", "id": "output", "parameter": [*parameters, *proposals]}


def _provenance(advice: Advice, outcome: Outcome, orders: list[Json]) -> Json:
    written = [str(advice.id), str(uuid5(advice.id, "guidance")), *map(identifier_of, orders)]
    source = [{"role": "source", "what": {"reference": advice.result}}] if advice.result else None
    create = {"system": f"{_TERMINOLOGY}/v3-DataOperation", "code": "CREATE"}
    assembler = {"system": f"{_TERMINOLOGY}/provenance-participant-type", "code": "assembler"}
    return _kept(
        resourceType="Provenance",
        contained=[_device(advice, outcome.pack)],
        target=[{"reference": f"urn:uuid:{value}"} for value in written],
        recorded=_instant(outcome.now),
        activity={"coding": [create]},
        agent=[{"type": {"coding": [assembler]}, "who": {"reference": "#device"}}],
        entity=source,
    )


def _device(advice: Advice, pack: Pack) -> Json:
    """This service, with the versions of what it judged by."""
    rule = advice.decision.rule
    versions = {"service": __version__, f"pack {pack.id}": pack.version}
    versions[f"rule {rule.id}"] = rule.version
    return {
        "resourceType": "Device",
        "id": "device",
        "deviceName": [{"name": "cds-service", "type": "model-name"}],
        "version": [
            {"type": {"text": name}, "value": version} for name, version in versions.items()
        ],
    }


def _prove(resource: Json) -> None:
    """Raise `ValueError` unless it is a valid resource; R4B is R4 for all of these."""
    from fhir.resources.R4B import get_fhir_model_class  # two tenths of a second

    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def _identifier(value: UUID) -> Json:
    return {"system": ADVICE_SYSTEM, "value": str(value)}


def _reference_to(resource: Json) -> Json:
    return {"reference": f"urn:uuid:{identifier_of(resource)}"}


def _patient(place: AdvicePlace) -> Json:
    return {"reference": f"Patient/{place.patient}"}


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _kept(**members: Any) -> Json:
    """The elements that have a value: nothing that FHIR holds is empty."""
    return {name: value for name, value in members.items() if value not in (None, [], {})}
